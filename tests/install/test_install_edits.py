"""Edits of configuration files keep every character that they do not have to change.

The results are parsed by strict parsers that are not the editor's own: `json` and `tomllib`.
"""

from __future__ import annotations

import json
import re
import tomllib
from random import Random
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from living_reports.errors import InvalidInputError
from living_reports.install import jsonc, toml
from living_reports.install.clients import CLIENTS
from living_reports.install.plan import plan_install, plan_uninstall

COMMAND = ["/opt/lr/bin/living-reports", "serve", "--root", "/home/ada/reports"]
ENTRY = {"command": COMMAND[0], "args": COMMAND[1:]}

keys = st.text(st.characters(codec="utf-8", exclude_characters="§"), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | keys,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)
servers = st.dictionaries(keys | st.just("living-reports"), st.dictionaries(keys, values, max_size=3))
indents = st.sampled_from([None, 0, 1, 2, 4, "\t"])


@st.composite
def contents(draw: st.DrawFn) -> dict[str, Any]:
    """The content of a client's file: anything, and often some servers."""
    content = draw(st.dictionaries(keys, values, max_size=4))
    if draw(st.booleans()):
        content["mcpServers"] = draw(servers)
    return content


@st.composite
def texts(draw: st.DrawFn) -> str:
    """The same as a text, in one of the styles that people and programs write."""
    text = json.dumps(draw(contents()), indent=draw(indents), ensure_ascii=draw(st.booleans()))
    line_end = draw(st.sampled_from(["\n", "\r\n"]))
    return (
        draw(st.sampled_from(["", "\n", "  "]))
        + text.replace("\n", line_end)
        + draw(st.sampled_from(["", "\n"]))
    )


def installed(data: bytes, client: str = "cursor") -> bytes:
    return plan_install(CLIENTS[client], data, "mcp.json", COMMAND)


def uninstalled(data: bytes, client: str = "cursor") -> bytes:
    return plan_uninstall(CLIENTS[client], data, "mcp.json")


# --- JSON ---------------------------------------------------------------------------------


@given(texts())
def test_an_install_adds_the_server_and_nothing_else(text: str) -> None:
    before = json.loads(text)
    if "url" in before.get("mcpServers", {}).get("living-reports", {}):
        with pytest.raises(InvalidInputError, match="URL"):
            installed(text.encode())
        return
    new = installed(text.encode())
    expected = before
    server = expected.setdefault("mcpServers", {}).setdefault("living-reports", {})
    server.update(ENTRY)
    assert json.dumps(json.loads(new)) == json.dumps(expected)
    assert "living-reports" in text or is_kept(text, new.decode())
    assert installed(new) == new


@given(texts())
def test_an_uninstall_removes_the_server_and_nothing_else(text: str) -> None:
    new = uninstalled(text.encode())
    expected = json.loads(text)
    expected.get("mcpServers", {}).pop("living-reports", None)
    assert json.dumps(json.loads(new)) == json.dumps(expected)
    assert uninstalled(new) == new


TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+|\s+')


@given(texts(), st.randoms(use_true_random=False))
def test_comments_anywhere_change_nothing_and_stay(text: str, random: Random) -> None:
    """The comments are known, so removing them by hand leaves strict JSON."""
    text = "".join(token + random.choice(["", "", "/*§*/", "//§\n"]) for token in TOKENS.findall(text))
    if "living-reports" in text:
        return
    new = installed(text.encode()).decode()
    assert is_kept(text, new)
    expected = json.loads(uncommented(text))
    expected.setdefault("mcpServers", {})["living-reports"] = ENTRY
    assert json.dumps(json.loads(uncommented(new))) == json.dumps(expected)
    back = uninstalled(new.encode()).decode()
    assert new.count("§") == back.count("§") == text.count("§")


def uncommented(text: str) -> str:
    return text.replace("/*§*/", "").replace("//§", "")


def is_kept(old: str, new: str) -> bool:
    """Whether all characters of the old text are in the new one, in the same order."""
    rest = iter(new)
    return all(char in rest for char in old)


COMMENTED = """\
// my servers
{
\t// inputs come first
\t"inputs": [ /* none */ ],
\t"servers": {
\t\t"github": { "url": "https://example.org/mcp" }, // the // is not a comment, "this" is
\t\t/* the last one */
\t\t"files": {
\t\t\t"command": "npx",
\t\t\t"args": ["-y", "files",],
\t\t}, // files end here
\t\t// nothing below
\t},
}
"""


def test_comments_commas_and_tabs_stay() -> None:
    new = installed(COMMENTED.encode(), "vscode").decode()
    added = (
        '\n\t\t"living-reports": {\n\t\t\t"type": "stdio",\n\t\t\t"command": "/opt/lr/bin/living-reports",\n'
        '\t\t\t"args": [\n\t\t\t\t"serve",\n\t\t\t\t"--root",\n\t\t\t\t"/home/ada/reports"\n\t\t\t]\n\t\t},'
    )
    assert new == COMMENTED.replace("// nothing below", "// nothing below" + added)
    assert uninstalled(new.encode(), "vscode").decode() == COMMENTED


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        '{"servers": {}}',
        '{ "servers": {"x": {}} }',
        '{\n  "servers": {}\n}\n',
        '{\n  "servers": {\n    "x": {} // x\n  }\n}',
        '{\r\n    "servers": {\r\n        "x": {},\r\n        // more\r\n    }\r\n}\r\n',
        '{\n  "servers": {"x": {}, "y": {},},\n}',
        '\ufeff{\n  "servers": {}\n}\n',
    ],
)
def test_an_uninstall_restores_the_text_before_the_install(text: str) -> None:
    had_servers = "servers" in text
    back = uninstalled(installed(text.encode(), "vscode"), "vscode").decode()
    assert back == (text if had_servers else '{"a": 1, "servers": {}}')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"servers": {"living-reports": {}, "x": {}}}', '{"servers": {"x": {}}}'),
        ('{"servers": {"living-reports": {} /* ours */, "x": {}}}', '{"servers": {/* ours */ "x": {}}}'),
        ('{"servers": { // c\n "living-reports": {}}}', '{"servers": { // c\n }}'),
        (
            '{"servers": {\n  "x": {},\n  "living-reports": {} // ours\n}}',
            '{"servers": {\n  "x": {}\n  // ours\n}}',
        ),
        ('{"servers": {\n  "living-reports": {},\n}}', '{"servers": {}}'),
    ],
)
def test_a_removed_member_takes_its_comma_and_leaves_comments(text: str, expected: str) -> None:
    assert uninstalled(text.encode(), "vscode").decode() == expected


def test_an_existing_entry_keeps_what_the_user_added() -> None:
    text = '{"mcpServers": {"living-reports": {"command": "old", "env": {"A": "1"}, "args": []}}}'
    server = json.loads(installed(text.encode()))["mcpServers"]["living-reports"]
    assert server == {"command": COMMAND[0], "env": {"A": "1"}, "args": COMMAND[1:]}


def test_a_new_file_is_indented() -> None:
    assert (
        installed(b"", "claude-desktop").decode()
        == json.dumps({"mcpServers": {"living-reports": ENTRY}}, indent=2) + "\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "nonsense",
        '{"mcpServers": []}',
        '{"mcpServers": {}} x',
        '{"a": NaN}',
        '{"a": 1,}',
        '{"a": 1} // comment',
        '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
)
def test_a_text_that_does_not_parse_is_refused(text: str) -> None:
    for edit in (installed, uninstalled):
        with pytest.raises(InvalidInputError, match="cannot be edited"):
            edit(text.encode(), "claude-code")


@pytest.mark.parametrize(
    "text", ['{"mcpServers": {"living-reports": "x"}}', '{"mcpServers": {}, "mcpServers": {}}']
)
def test_an_entry_of_another_type_is_not_replaced(text: str) -> None:
    with pytest.raises(InvalidInputError, match="cannot be edited"):
        installed(text.encode())


@pytest.mark.parametrize("text", ['{"a": [,]}', '{"a": [1,,]}', "{,}", '{"a":,}', "{} /*", '{"a": 1 /}'])
def test_other_errors_are_refused_in_jsonc_too(text: str) -> None:
    with pytest.raises(InvalidInputError, match="cannot be edited"):
        installed(text.encode(), "vscode")


def test_bytes_that_are_not_text_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="utf-8"):
        installed(b'{"a": "\xff"}')
    with pytest.raises(InvalidInputError, match="Unicode"):
        plan_install(CLIENTS["cursor"], b"", "mcp.json", ["/bin/x", "/home/\udcff"])


def test_numbers_keep_their_notation() -> None:
    text = '{"big": 123456789012345678901234567890, "small": 1e-400, "huge": 1E400, "one": 1.0}'
    assert installed(text.encode()).decode().startswith(text[:-1])
    assert len(jsonc.read('{"a": ' + "1" * 5000 + "}")["a"]) == 5000  # an int of so many digits is refused


# --- TOML ---------------------------------------------------------------------------------

CODEX = """\
# Codex, as I like it
model = "gpt-5.1"   # the newest
approval_policy = 'on-request'

[mcp_servers]
# all of mine

[mcp_servers.docs]
command = "docs"
args = [
    "serve", # always
]
env = { KEY = "value" }

[profiles."a b"]
weight = nan
when = 2026-11-28T10:00:00Z
"""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment\n",
        CODEX,
        CODEX.replace("\n", "\r\n"),
        'mcp_servers.docs.command = "x"\n',
        'mcp_servers = { docs = { command = "x" } }\n',
        '[mcp_servers.a]\ncommand = "a"\n\n[other]\nb = 1\n\n[mcp_servers.c]\ncommand = "c"\n',
        '[mcp_servers.living-reports]\ncommand = "old" # mine\nenabled = false\n',
        'model = "x"',
        '[mcp_servers]\ndocs.command = "x"\nliving-reports.command = "old"\n',
        '[mcp_servers.docs.env]\nA = "1"\n\n[mcp_servers.docs]\ncommand = "x"\n',
    ],
)
def test_toml_keeps_everything_else(text: str) -> None:
    before = toml.read(text)
    new = installed(text.encode(), "codex")
    expected = before | {"mcp_servers": dict(before.get("mcp_servers", {}))}
    ours = expected["mcp_servers"].get("living-reports", {})
    expected["mcp_servers"]["living-reports"] = ours | ENTRY
    assert tomllib.loads(new.decode(), parse_float=str) == expected
    assert installed(new, "codex") == new
    gone_lines = set(text.splitlines()) - set(new.decode().splitlines())
    assert all('"old"' in line or line.startswith("mcp_servers = {") for line in gone_lines)
    gone = tomllib.loads(uninstalled(new, "codex").decode(), parse_float=str)
    assert "living-reports" not in gone.pop("mcp_servers", {})
    before.pop("mcp_servers", None)
    assert gone == before


def test_toml_comments_and_line_ends_stay() -> None:
    for text in (CODEX, CODEX.replace("\n", "\r\n")):
        new = installed(text.encode(), "codex").decode()
        assert set(re.findall("#.*", text)) == set(re.findall("#.*", new))
        assert ("\r\n" in text) == ("\r\n" in new)
        assert not re.search(r"(?<!\r)\n" if "\r\n" in text else r"\r", new)


toml_keys = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=6)
toml_values = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | toml_keys,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(toml_keys, inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(toml_keys, toml_values, max_size=4),
    st.dictionaries(toml_keys, st.fixed_dictionaries({"command": toml_keys}), max_size=3),
)
def test_any_toml_is_edited_or_refused(content: dict[str, Any], others: dict[str, Any]) -> None:
    content = {key: part for key, part in content.items() if key != "mcp_servers"}
    text = tomlkit.dumps(content | ({"mcp_servers": others} if others else {}))
    before = tomllib.loads(text)
    new = tomllib.loads(installed(text.encode(), "codex").decode())
    before.setdefault("mcp_servers", {}).setdefault("living-reports", {}).update(ENTRY)
    assert new == before


@pytest.mark.parametrize(
    "text", ["a =", "mcp_servers = 1", "[mcp_servers]\nliving-reports = 2", "x = 1\nx = 2"]
)
def test_toml_that_cannot_be_edited_is_refused(text: str) -> None:
    for edit in (installed, uninstalled):
        if edit is uninstalled and "living-reports" in text:
            continue
        with pytest.raises(InvalidInputError, match="cannot be edited"):
            edit(text.encode(), "codex")
