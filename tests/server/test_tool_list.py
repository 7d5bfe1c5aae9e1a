"""The tool list: small, portable, and true to what the library and its changes take."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, get_args

import jsonschema  # type: ignore[import-untyped]
import pytest

from living_reports.changes.parse import CHANGE_FIELDS, OPS
from living_reports.changes.report_templates import BUILT_IN
from living_reports.changes.section_templates import SECTION_TEMPLATES, described
from living_reports.library import Library
from living_reports.library.diff import DIFF_FORMATS
from living_reports.library.listing import SORTS, STATUSES
from living_reports.library.requests import BY_TOOL
from living_reports.model.event import ActionType
from living_reports.model.report import Citation
from living_reports.reading.compact import size_bytes
from living_reports.reading.views import VIEWS
from living_reports.render import FORMATS as PAGE_FORMATS
from living_reports.server import tools
from living_reports.server.arguments import CHECKS, check_arguments

Schema = dict[str, Any]
TOOL = pytest.mark.parametrize("tool", tools.TOOLS, ids=lambda tool: tool["name"])
KEYWORDS = {"type", "properties", "required", "additionalProperties", "items", "enum", "description"}


def subschemas(schema: Schema) -> Iterator[Schema]:
    yield schema
    for inner in (*schema.get("properties", {}).values(), schema.get("items")):
        if inner is not None:
            yield from subschemas(inner)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from subschemas(schema["additionalProperties"])


def test_there_are_nine_tools() -> None:
    names = (
        "create_report update_report get_report list_reports revert_report audit_report "
        "diff_report check_report render_report"
    )
    assert [tool["name"] for tool in tools.TOOLS] == names.split()


def test_the_list_is_small() -> None:
    seen_by_models = ("name", "description", "inputSchema")
    assert size_bytes([{key: tool[key] for key in seen_by_models} for tool in tools.TOOLS]) <= 11_500
    assert size_bytes(tools.TOOLS) <= 15_000


@TOOL
def test_descriptions_fit_every_client(tool: Schema) -> None:
    assert 50 < len(tool["description"]) < 2_048


@TOOL
@pytest.mark.parametrize("side", ["inputSchema", "outputSchema"])
def test_schemas_are_portable(tool: Schema, side: str) -> None:
    root = tool[side]
    jsonschema.Draft202012Validator.check_schema(root)
    assert root["type"] == "object"
    for schema in subschemas(root):
        assert schema.keys() <= KEYWORDS
        assert "description" in schema or schema["type"] in CHECKS
        assert "default" not in schema


@TOOL
def test_inputs_are_closed(tool: Schema) -> None:
    assert tool["inputSchema"]["additionalProperties"] is False
    assert set(tool["inputSchema"].get("required", ())) <= tool["inputSchema"]["properties"].keys()


@TOOL
def test_output_schemas_name_top_level_fields_only(tool: Schema) -> None:
    for schema in tool["outputSchema"]["properties"].values():
        assert schema.keys() == {"type"}


@TOOL
def test_annotations_say_what_a_call_may_do(tool: Schema) -> None:
    reads = tool["name"].split("_")[0] in ("get", "list", "audit", "diff", "check")
    annotations = tool["annotations"]
    assert annotations["readOnlyHint"] is reads
    assert annotations["openWorldHint"] is False
    assert reads or {"destructiveHint", "idempotentHint"} <= annotations.keys()
    assert "title" not in annotations


@TOOL
def test_a_parameter_is_one_of_the_library(tool: Schema) -> None:
    request = inspect.signature(BY_TOOL[tool["name"]]).parameters
    assert list(tool["inputSchema"]["properties"]) == list(request)
    needed = [name for name, parameter in request.items() if parameter.default is parameter.empty]
    assert list(tool["inputSchema"].get("required", ())) == needed


@TOOL
def test_a_method_of_the_library_takes_its_request(tool: Schema) -> None:
    method = inspect.signature(getattr(Library, tool["name"]), eval_str=False).parameters
    assert method["request"].annotation == BY_TOOL[tool["name"]].__name__


def test_a_change_has_the_fields_of_the_ops() -> None:
    assert tools.CHANGE_FIELDS.keys() == set(CHANGE_FIELDS)


def described_ops() -> dict[str, list[str]]:
    """The table in update_report's description: each op with its fields, `?` behind optional ones."""
    described: dict[str, list[str]] = {}
    for line in tools.UPDATE_REPORT["description"].splitlines():
        words = re.sub(r"\(.*?\)", "", line).split()
        if words and words[0].split("|")[0] in OPS:
            described |= dict.fromkeys(words[0].split("|"), words[1:])
    return described


def test_every_op_is_described_with_its_fields() -> None:
    described = described_ops()
    assert list(described) == list(OPS)
    for op, spec in OPS.items():
        expected = {name if name in spec.required else f"{name}?" for name in spec.names}
        assert set(described[op]) == expected, op


def test_every_section_template_is_named() -> None:
    named = re.search(r"^template \((.*?)\)", tools.UPDATE_REPORT["description"], re.MULTILINE)
    assert named
    assert named[1].split(", ") == list(SECTION_TEMPLATES)


@pytest.mark.parametrize("name", ["findings", "metrics"])
def test_the_data_of_a_section_template_is_described(name: str) -> None:
    [row] = described(SECTION_TEMPLATES[name].shape)[name]
    fields = (f"{field}:[]" if isinstance(value, list) else field for field, value in row.items())
    shape = f"{name}: {{{name}:[{{{','.join(fields)}}}]}}"
    assert shape in tools.CHANGE_FIELDS["data"]["description"].split("; ")


def test_every_template_is_named() -> None:
    named = re.search(r"template gives sections to fill: (.*?)\.", tools.CREATE_REPORT["description"])
    assert named
    assert named[1].split(", ") == [name for name in BUILT_IN if name != "blank"]


@pytest.mark.parametrize(
    ("tool", "parameter", "known"),
    [
        ("list_reports", "sort", SORTS),
        ("list_reports", "status", STATUSES),
        ("get_report", "view", VIEWS),
        ("diff_report", "format", DIFF_FORMATS),
        ("audit_report", "action_type", get_args(ActionType)),
        ("render_report", "format", tuple(PAGE_FORMATS)),
    ],
)
def test_a_choice_is_offered_whole(tool: str, parameter: str, known: Sequence[str]) -> None:
    assert set(tools.BY_NAME[tool]["inputSchema"]["properties"][parameter]["enum"]) == set(known)


def test_the_example_is_a_right_call() -> None:
    text = tools.UPDATE_REPORT["description"].partition("Example: ")[2]
    arguments = check_arguments(tools.UPDATE_REPORT, json.loads(text))
    jsonschema.validate(arguments, tools.UPDATE_REPORT["inputSchema"])
    for change in arguments["changes"]:
        assert set(OPS[change["op"]].required) <= change.keys() <= {"op", *OPS[change["op"]].names}


def test_citations_declare_the_usual_fields_and_take_the_others() -> None:
    assert list(tools.CITATION["properties"]) == ["source", "url", "title", "path", "description"]
    assert tools.CITATION["properties"].keys() <= Citation.model_fields.keys()
    assert tools.CITATION["additionalProperties"] == {"type": "string"}


def test_instructions_are_short() -> None:
    assert len(tools.INSTRUCTIONS) < 2_000


def test_instructions_name_what_there_is() -> None:
    named = re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", tools.INSTRUCTIONS)
    fields = {name for tool in tools.TOOLS for name in tool["inputSchema"]["properties"]}
    fields |= {name for tool in tools.TOOLS for name in tool["outputSchema"]["properties"]}
    errors = {"version_conflict", "current_version", "retry_with", "keep_both"}
    assert set(named) <= tools.BY_NAME.keys() | OPS.keys() | set(CHANGE_FIELDS) | fields | errors


def test_instructions_explain_marks_and_dry_runs() -> None:
    for words in ("[-old-]{+new+}", "leaves the request_id unused", "without dry_run, to write"):
        assert words in tools.INSTRUCTIONS
