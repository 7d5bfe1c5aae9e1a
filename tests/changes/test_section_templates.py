"""Section templates: their results, refusals, and text that keeps its meaning in Markdown."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from living_reports.changes import MAX_SECTION_BYTES, parse_changes
from living_reports.changes.parse import write_markdown
from living_reports.changes.section_templates import (
    SECTION_TEMPLATES,
    bullets,
    described,
    heading,
    one_line,
    paragraphs,
    table,
)
from living_reports.errors import InvalidInputError, TooLargeError
from support.small_outline import Fields, apply

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def add(**fields: Any) -> Fields:
    return {"op": "add_section", "title": "New"} | fields


def content(template: str, data: Fields) -> str:
    outcome = apply(add(template=template, data=data))
    section = outcome.outline.sections[-1]
    assert (section.title, section.content_format, outcome.applied) == ("New", "markdown", 1)
    assert section.content is not None
    return section.content


# --- Results ------------------------------------------------------------------------------

WRITTEN: list[tuple[str, Fields, str]] = [
    (
        "findings",
        {
            "intro": "Since May.",
            "findings": [
                {"title": "Errors *rose*", "description": "From 2 %.\n\nTo 5 %.", "impact": "Calls\nfail"},
                {"title": "Cause", "evidence": ["run 7", "https://e.org/a_b"], "actions": ["1. Roll back"]},
            ],
        },
        r"""
Since May.

### Errors \*rose\*

From 2 %.

To 5 %.

**Impact:** Calls fail

### Cause

**Evidence**

- run 7
- <https://e.org/a_b>

**Actions**

- 1\. Roll back
""",
    ),
    (
        "metrics",
        {
            "metrics": [
                {"name": "Errors | all", "value": 0.05, "note": "two\nlines"},
                {"name": "Hosts", "value": 0, "target": "≥ 12", "trend": ""},
            ]
        },
        r"""
| Metric | Value | Target | Note |
| --- | ---: | ---: | --- |
| Errors \| all | 0.05 |  | two lines |
| Hosts | 0 | ≥ 12 |  |
""",
    ),
    (
        "bullet_list",
        {"intro": "Three:", "items": ["one", "- two", "# 3"]},
        "\nThree:\n\n- one\n- \\- two\n- \\# 3\n",
    ),
    (
        "executive_summary",
        {
            "headline": "Errors are down",
            "context": "After the patch.",
            "key_points": ["It holds", "It is cheap"],
            "recommendation": "Roll it out",
            "conclusion": "Done by May",
        },
        """
**Errors are down**

After the patch.

- It holds
- It is cheap

**Recommendation:** Roll it out

**Conclusion:** Done by May
""",
    ),
    (
        "action_items",
        {
            "actions": [
                {"action": "Rotate keys", "owner": "Ann", "due": "2026-12-01", "priority": "high"},
                {"action": "Tell [all]", "done": True},
                {"action": "Wait", "done": False, "due": "next week"},
            ]
        },
        r"""
- [ ] Rotate keys (**Ann**, due 2026-12-01, high priority)
- [x] Tell \[all\]
- [ ] Wait (due next week)
""",
    ),
    (
        "methodology",
        {
            "approach": "Counted.",
            "period": "May",
            "sources": ["logs"],
            "assumptions": ["UTC"],
            "limitations": ["one host"],
        },
        "\nCounted.\n\n**Period:** May\n\n**Sources**\n\n- logs\n\n**Assumptions**\n\n- UTC\n\n"
        "**Limitations**\n\n- one host\n",
    ),
]


@pytest.mark.parametrize(("template", "data", "expected"), WRITTEN, ids=[name for name, *_ in WRITTEN])
def test_a_template_writes_its_data(template: str, data: Fields, expected: str) -> None:
    assert f"\n{content(template, data)}\n" == expected


def test_every_template_has_an_example() -> None:
    assert [name for name, *_ in WRITTEN] == list(SECTION_TEMPLATES)


@pytest.mark.parametrize("name", SECTION_TEMPLATES)
def test_the_example_of_a_template_is_valid(name: str) -> None:
    assert content(name, dict(SECTION_TEMPLATES[name].example))


def test_a_templated_section_has_everything_else_that_a_section_has() -> None:
    outcome = apply(
        add(
            template="bullet_list",
            data={"items": ["a"]},
            notes="n",
            content_format="markdown",
            position="first",
            insights=[{"summary": "s"}],
            ref="new",
        ),
        {"op": "append_text", "section": "new", "text": "**More** of it."},
    )
    first = outcome.outline.sections[0]
    assert (first.notes, first.content) == ("n", "- a\n\n**More** of it.")
    assert len(first.insight_ids) == 1


# --- Refusals -----------------------------------------------------------------------------


def metric(**fields: Any) -> Fields:
    return {"template": "metrics", "data": {"metrics": [{"name": "a", "value": 1}, fields]}}


REFUSED: list[tuple[Fields, str, Fields]] = [
    ({"template": "metric", "data": {}}, ".template", {"did_you_mean": "metrics"}),
    ({"template": 7}, ".template", {"allowed": list(SECTION_TEMPLATES)}),
    ({"data": {"items": ["a"]}}, ".template", {"allowed": list(SECTION_TEMPLATES)}),
    ({"template": "metrics"}, ".data", {}),
    ({"template": "metrics", "data": {}}, ".data", {}),
    ({"template": "metrics", "data": ["a"]}, ".data", {}),
    ({"template": "metrics", "data": "a"}, ".data", {}),
    ({"template": "bullet_list", "data": {"items": ["a"]}, "content": "b"}, ".content", {}),
    (
        {"template": "bullet_list", "data": {"items": ["a"]}, "content_format": "html"},
        ".content_format",
        {"allowed": ["markdown"]},
    ),
    ({"template": "metrics", "data": {"metrics": []}}, ".data.metrics", {"allowed": ["intro", "metrics"]}),
    ({"template": "metrics", "data": {"metric": [{}]}}, ".data.metric", {"did_you_mean": "metrics"}),
    ({"template": "metrics", "data": {"metrics": {"name": "a"}}}, ".data.metrics", {}),
    ({"template": "metrics", "data": {"metrics": ["a"]}}, ".data.metrics[0]", {}),
    (metric(name="b"), ".data.metrics[1].value", {"allowed": ["name", "value", "target", "trend", "note"]}),
    (metric(value=2), ".data.metrics[1].name", {}),
    (metric(name="b", value=[2]), ".data.metrics[1].value", {}),
    (metric(name="b", value=True), ".data.metrics[1].value", {}),
    (metric(name="b", value=float("inf")), ".data.metrics[1].value", {}),
    (metric(name="b", value=float("nan")), ".data.metrics[1].value", {}),
    (metric(name="b", value=10**400), ".data.metrics[1].value", {}),
    (metric(name="b", value="  "), ".data.metrics[1].value", {}),
    (metric(name="b", value="\ud800"), ".data.metrics[1].value", {}),
    (metric(name="b", value=1, targe=2), ".data.metrics[1].targe", {"did_you_mean": "target"}),
    (metric(name=3, value=1), ".data.metrics[1].name", {}),
    ({"template": "findings", "data": {"findings": [{"impact": "x"}]}}, ".data.findings[0].title", {}),
    (
        {"template": "findings", "data": {"findings": [{"title": "x", "evidence": "y"}]}},
        ".data.findings[0].evidence",
        {},
    ),
    (
        {"template": "findings", "data": {"findings": [{"title": "x", "actions": ["y", 7]}]}},
        ".data.findings[0].actions[1]",
        {},
    ),
    ({"template": "bullet_list", "data": {"items": ["a", ""]}}, ".data.items[1]", {}),
    (
        {"template": "action_items", "data": {"actions": [{"action": "x", "priority": "hihg"}]}},
        ".data.actions[0].priority",
        {"did_you_mean": "high"},
    ),
    (
        {"template": "action_items", "data": {"actions": [{"action": "x", "done": "yes"}]}},
        ".data.actions[0].done",
        {"allowed": [True, False]},
    ),
    ({"template": "executive_summary", "data": {"context": "x"}}, ".data.headline", {}),
    ({"template": "methodology", "data": {"period": "x"}}, ".data.approach", {}),
]


@pytest.mark.parametrize(("fields", "path", "details"), REFUSED, ids=[path for _, path, _ in REFUSED])
def test_invalid_data_is_refused_with_its_path(fields: Fields, path: str, details: Fields) -> None:
    with pytest.raises(InvalidInputError) as caught:
        apply({"op": "set_title", "title": "fine"}, add(**fields))
    error = caught.value
    assert error.details["path"] == "changes[1]" + path
    assert error.message.startswith("changes[1]" + path)
    assert error.hint
    assert error.details | details == error.details


def test_missing_data_is_answered_with_an_example() -> None:
    with pytest.raises(InvalidInputError) as caught:
        apply(add(template="metrics", data={}))
    assert '{"metrics": [{"name": ' in caught.value.hint


def test_only_add_section_takes_a_template() -> None:
    with pytest.raises(InvalidInputError) as caught:
        apply({"op": "edit_section", "section": "Risks", "template": "metrics", "data": {"metrics": []}})
    assert "add_section" in caught.value.message


def test_a_result_above_the_limit_of_a_section_is_refused() -> None:
    items = ["x" * 1000] * (MAX_SECTION_BYTES // 1000)
    with pytest.raises(TooLargeError) as caught:
        apply(add(template="bullet_list", data={"items": items}))
    assert caught.value.details["path"] == "changes[0].data"


# --- Escaping -----------------------------------------------------------------------------


def shown(markdown: str) -> str:
    """Return the visible text without spaces."""
    return "".join(html.unescape(re.sub(r"<[^>]*>", " ", MARKDOWN.render(markdown))).split())


def tags(markdown: str) -> set[str]:
    return set(re.findall(r"</?([a-z0-9]+)", MARKDOWN.render(markdown)))


TEXTS = st.text(
    st.sampled_from("ab1 .:)(\n\t#>-+=*_~`[]|!&;<>\\/'\"$^{}") | st.characters(exclude_categories=["C", "Z"]),
    min_size=1,
    max_size=30,
).filter(lambda text: text.strip() and "://" not in text)


@given(TEXTS)
def test_any_text_is_displayed_unchanged(text: str) -> None:
    plain = "".join(text.split())
    assert shown(f"see {one_line(text)}") == "see" + plain
    assert shown(bullets([text])) == plain
    assert shown(paragraphs(text)) == plain
    assert shown(heading(text, 3)) == plain
    assert shown(table(["H"], [[text]], ["left"])) == "H" + plain
    assert tags(bullets([text, text])) == {"ul", "li"}
    assert tags(paragraphs(text)) == {"p"}
    assert tags(heading(text, 3)) == {"h3"}


@given(TEXTS, TEXTS)
def test_any_data_keeps_its_words_and_its_shape(one: str, two: str) -> None:
    rows = [{"action": one, "owner": two, "due": one}, {"action": two}]
    markdown = write_markdown("action_items", {"actions": rows}, "data")
    assert tags(markdown) == {"ul", "li", "strong"}
    a, b = "".join(one.split()), "".join(two.split())
    assert shown(markdown) == f"[]{a}({b},due{a})[]{b}"
    rows = [{"name": one, "value": two}, {"name": two, "value": one, "note": one}]
    markdown = write_markdown("metrics", {"metrics": rows}, "data")
    assert tags(markdown) == {"table", "thead", "tbody", "tr", "th", "td"}
    assert shown(markdown) == f"MetricValueNote{a}{b}{b}{a}{a}"


@pytest.mark.parametrize(
    "text",
    [
        "2 * 3 is 6",
        "snake_case and HTTP_PROXY",
        "~5 % of them",
        "a < b & c > d",
        "-5 to +7",
        "#12 and C#",
        "3.5 (see below)",
        "C:\\new",
        "Größe – „sehr“ groß…",
    ],
)
def test_harmless_characters_get_no_backslash(text: str) -> None:
    assert bullets([text]) == f"- {text}"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("see https://e.org/a_b, then", "https://e.org/a_b"),
        ("(https://e.org/a?b=1&c=2)", "https://e.org/a?b=1&c=2"),
        ("https://e.org/A_(b).", "https://e.org/A_(b)"),
        ("**https://e.org/x**", "https://e.org/x"),
        ("https://e.org/x" + ")" * 300_000, "https://e.org/x"),
    ],
)
def test_a_web_address_becomes_a_link_to_itself(text: str, address: str) -> None:
    markdown = one_line(text)
    assert f"<{address}>" in markdown
    assert shown(markdown) == "".join(text.split())


@pytest.mark.parametrize(
    "text",
    ["javascript:alert(1)", "[x](javascript:alert(1))", "<script>alert(1)</script>", "![x](y)", "https://"],
)
def test_nothing_else_becomes_a_link_a_tag_or_an_image(text: str) -> None:
    assert tags(paragraphs(text)) == {"p"}


@pytest.mark.parametrize("data", [None, {"metrics": [{"name": "Errors"}]}, {"metric": []}, {"metrics": "x"}])
def test_data_that_does_not_fit_is_answered_with_the_shape_and_an_example(data: Any) -> None:
    change = {"op": "add_section", "title": "x", "template": "metrics", "data": data}
    with pytest.raises(InvalidInputError) as caught:
        parse_changes([change])
    shape, example = caught.value.details["shape"], caught.value.details["example"]
    assert shape["metrics"][0] == {
        "name": "text",
        "value": "text or number",
        "target?": "text or number",
        "trend?": "text or number",
        "note?": "text",
    }
    assert parse_changes([change | {"data": example}])


@pytest.mark.parametrize("name", SECTION_TEMPLATES)
def test_every_example_has_the_described_shape(name: str) -> None:
    template = SECTION_TEMPLATES[name]
    shape = described(template.shape)
    assert {key.removesuffix("?") for key in shape} >= template.example.keys()
    assert {key for key in shape if not key.endswith("?")} <= template.example.keys()


def test_an_unknown_format_is_answered_with_the_formats() -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_changes([{"op": "add_section", "title": "x", "content_format": "md"}])
    assert caught.value.details["allowed"] == ["markdown", "html", "plain"]
    assert "markdown, html, plain" in caught.value.message
