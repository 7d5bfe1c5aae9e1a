"""Whatever comes in on stdin: the server answers it or passes over it as the protocol says, and lives."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from living_reports.server.calls import RESOURCE_NOT_FOUND
from living_reports.server.stdio import MAX_LINE_BYTES, MAX_WEIGHT
from living_reports.store.files.lock import hold
from support.fuzzing import Answer, Reports, check_answer, exchange, fuzz_server, receive
from support.wire import INITIALIZE, INITIALIZED, Wire, tool_call, with_envelope

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
MAX_MEGABYTES = 400

LIST_TOOLS = {"jsonrpc": "2.0", "id": "alive", "method": "tools/list"}
REST = b',"method":"ping"}'


class Session:
    """A server, what lies under its root, and the era that its client speaks."""

    def __init__(self, wire: Wire, reports: Reports, era: str) -> None:
        self.wire = wire
        self.reports = reports
        self.spoken: Callable[[Answer], Answer] = with_envelope if era == "modern" else dict

    def answers(self, *lines: bytes, calls: int = 0) -> list[Answer]:
        """Return the answers to these lines, some of which are calls of tools, and to a request after them.

        Nothing may have changed. Calls run side by side and are answered as they finish.
        """
        before = self.reports.files()
        self.wire.send(*lines, self.spoken(LIST_TOOLS))
        found: list[Answer] = []
        while not any(message.get("id") == "alive" for message in found) or len(found) <= calls:
            found.append(receive(self.wire))
        assert self.reports.files() == before
        [lives] = [message for message in found if message.get("id") == "alive"]
        assert lives["result"]["tools"]
        return [message for message in found if message is not lives]


@pytest.fixture(scope="module", params=["legacy", "modern"])
def session(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with fuzz_server(tmp_path_factory.mktemp("root"), request.param) as (wire, reports):
        session = Session(wire, reports, request.param)
        assert session.answers() == []
        yield session


# --- What is no message ------------------------------------------------------------------

NOTHING_TO_ANSWER = {
    "empty": b"",
    "blank": b" \t ",
    "carriage return": b"\r",
    "words": b"hello there",
    "byte order mark": b"\xef\xbb\xbf{}",
    "bad utf-8": b"\xff\xfe\x00",
    "nul": b"\x00" * 100,
    "half an object": b'{"jsonrpc":"2.0","method":"tools/ca',
    "null": b"null",
    "number": b"7",
    "infinity": b"-Infinity",
    "text": b'"ping"',
    "list": b"[]",
    "object": b"{}",
    "batch": b'[{"jsonrpc":"2.0","id":7,"method":"ping"},{"jsonrpc":"2.0","id":8,"method":"ping"}]',
    "open brackets": b"[" * 100_000,
    "open braces": b'{"a":' * 100_000,
    "brackets": b"[" * 100_000 + b"]" * 100_000,
    "no id": b'{"jsonrpc":"2.0"}',
    "surrogate id": b'{"jsonrpc":"2.0","id":"\\ud800"' + REST,
    "id without end": b'{"jsonrpc":"2.0","id":' + b"9" * 5_000 + REST,
    "id in a list": b'{"jsonrpc":"2.0","id":[7],"method":5}',
    "id further in": b'{"jsonrpc":"2.0","params":{"id":7},"method":5}',
    "id in a text": b'{"jsonrpc":"2.0","method":"x\\"id\\":7,","params":5}',
    "fraction id": b'{"jsonrpc":"2.0","id":1.5' + REST,
    "null id": b'{"jsonrpc":"2.0","id":null' + REST,
    "nan id": b'{"jsonrpc":"2.0","id":NaN' + REST,
    "answer to nothing": b'{"jsonrpc":"2.0","id":7,"result":{}}',
    "error for nothing": b'{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"no"}}',
    "error without id": b'{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"no"}}',
}


@pytest.mark.parametrize("line", NOTHING_TO_ANSWER.values(), ids=NOTHING_TO_ANSWER.keys())
def test_what_has_no_id_is_passed_over(session: Session, line: bytes) -> None:
    assert session.answers(line) == []


PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602
DEEP = b"[" * 100_000 + b"]" * 100_000

REFUSED = {
    "half a surrogate pair": (PARSE_ERROR, b'{"jsonrpc":"2.0","id":7,"method":"\\ud83d"}'),
    "bad utf-8": (PARSE_ERROR, b'{"jsonrpc":"2.0","id":7,"method":"\xff"}'),
    "deep": (PARSE_ERROR, b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"a":' + DEEP + b"}}"),
    "deep, id at the end": (PARSE_ERROR, b'{"params":{"a":' + DEEP + b'},"jsonrpc":"2.0","id":7}'),
    "control characters": (PARSE_ERROR, b'{"jsonrpc":"2.0","id":7,"method":"a\x01b"}'),
    "id first": (PARSE_ERROR, b'{"id":7,"method":"\xff"}'),
    "cut off": (PARSE_ERROR, b'{"jsonrpc":"2.0","id":7,"method":"tools/ca'),
    "no method": (INVALID_REQUEST, b'{"jsonrpc":"2.0","id":7}'),
    "method is a number": (INVALID_REQUEST, b'{"jsonrpc":"2.0","id":7,"method":5}'),
    "params are a list": (INVALID_REQUEST, b'{"jsonrpc":"2.0","id":7,"method":"ping","params":[1]}'),
    "version 1": (INVALID_REQUEST, b'{"jsonrpc":"1.0","id":7' + REST),
    "no version": (INVALID_REQUEST, b'{"id":7,"method":"ping"}'),
}


@pytest.mark.parametrize(("code", "line"), REFUSED.values(), ids=REFUSED.keys())
def test_what_has_an_id_is_refused_under_it(session: Session, code: int, line: bytes) -> None:
    [answer] = session.answers(line)
    assert (answer["jsonrpc"], answer["id"], answer["error"]["code"]) == ("2.0", 7, code)
    assert check_answer(answer, session.reports.root)[0]


IDS = [0, -1, 2**63, 10**1000, "", "x" * 2_000, "7", 'a "quoted" id', "é", "\0"]


@pytest.mark.parametrize("request_id", IDS, ids=range(len(IDS)))
def test_every_id_comes_back_as_it_was_sent(session: Session, request_id: int | str) -> None:
    sent = session.spoken(LIST_TOOLS) | {"id": request_id}
    session.wire.send(sent)
    assert receive(session.wire)["id"] == request_id
    wrong = json.dumps(sent | {"method": "x"}).encode().replace(b'"x"', b'"\xff"')
    [refused] = session.answers(wrong)
    assert refused["id"] == request_id


# --- Messages that make no sense ---------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("no/such", {}),
        ("", {}),
        ("\0", {}),
        ("tools/call", {}),
        ("tools/call", {"name": 5}),
        ("tools/call", {"name": "get_report", "arguments": [1]}),
        ("tools/call", {"name": "get_report", "arguments": "{}"}),
        ("tools/call", {"name": "../get_report", "arguments": {}}),
        ("tools/list", {"cursor": 5}),
        ("resources/list", {"cursor": "nonsense"}),
        ("resources/read", {"uri": "file:///etc/passwd"}),
        ("resources/read", {"uri": "report://" + "x" * 100_000}),
        ("resources/read", {"uri": "report://%ff%00/../../by_id"}),
        ("resources/read", {"uri": 5}),
        ("resources/subscribe", {"uri": "report://\0"}),
        ("subscriptions/listen", {"notifications": 5}),
        ("prompts/get", {"name": "x"}),
        ("prompts/get", {"name": "review_report", "arguments": {"report": 5}}),
        ("prompts/get", {"name": "review_report", "arguments": {"report": "\0"}}),
        ("completion/complete", {"ref": {"type": "ref/x"}, "argument": {"name": "report", "value": ""}}),
        ("logging/setLevel", {"level": "nonsense"}),
        ("completion/complete", {}),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(session: Session, method: str, params: Any) -> None:
    request = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    [answer] = session.answers(json.dumps(session.spoken(request)).encode(), calls=1)
    assert answer["error"]["code"] in (METHOD_NOT_FOUND, INVALID_PARAMS, RESOURCE_NOT_FOUND)
    assert check_answer(answer, session.reports.root)[0]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("notifications/no/such", {"a": [1]}),
        ("notifications/cancelled", {}),
        ("notifications/cancelled", {"requestId": {"a": 1}}),
        ("notifications/cancelled", {"requestId": "never sent"}),
        ("notifications/progress", {"progressToken": None, "progress": "much"}),
        ("notifications/progress", {"progressToken": 10**30, "progress": 1e400}),
        ("notifications/initialized", {"again": True}),
        ("notifications/roots/list_changed", {"_meta": 5}),
        ("tools/call", {"name": "create_report", "arguments": {"title": "made by a notification"}}),
        ("initialize", {}),
    ],
)
def test_a_notification_is_never_answered(session: Session, method: str, params: Any) -> None:
    assert session.answers(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}).encode()) == []


def test_two_requests_with_one_id_are_both_answered(session: Session) -> None:
    request = json.dumps(session.spoken(tool_call(7, "list_reports"))).encode()
    answers = session.answers(*[request] * 20, calls=20)
    assert [answer["id"] for answer in answers] == [7] * 20
    assert not any(check_answer(answer, session.reports.root)[0] for answer in answers)


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_a_second_introduction_does_no_harm(tmp_path: Path, era: str) -> None:
    with fuzz_server(tmp_path, era) as (wire, reports):
        session = Session(wire, reports, era)
        session.answers()
        for _ in range(3):
            [answer] = session.answers(json.dumps(INITIALIZE).encode(), json.dumps(INITIALIZED).encode())
            assert ("result" in answer) == (era == "legacy")


def test_a_call_before_the_introduction_is_refused(tmp_path: Path) -> None:
    with fuzz_server(tmp_path, "none yet") as (wire, reports):
        before = reports.files()
        refusal = exchange(wire, tool_call(7, "create_report", title="too early"))
        assert refusal["error"]["code"] == INVALID_PARAMS
        assert "result" in exchange(wire, INITIALIZE)
        wire.send(INITIALIZED)
        assert not check_answer(exchange(wire, tool_call(8, "list_reports")), tmp_path)[0]
        assert reports.files() == before


def test_the_other_era_is_refused(session: Session) -> None:
    legacy, modern = tool_call(7, "list_reports"), with_envelope(tool_call(7, "list_reports"))
    other = legacy if session.spoken is with_envelope else modern
    [answer] = session.answers(json.dumps(other).encode(), calls=1)
    assert answer["error"]["code"] in (INVALID_REQUEST, INVALID_PARAMS)


# --- Lines in parts ----------------------------------------------------------------------


def test_a_request_may_come_byte_by_byte(session: Session) -> None:
    for byte in json.dumps(session.spoken(tool_call(7, "list_reports"))).encode():
        session.wire.stdin.write(bytes([byte]))
        session.wire.stdin.flush()
    [answer] = session.answers(b"", calls=1)
    assert not check_answer(answer, session.reports.root)[0]


def test_half_a_line_at_the_end_is_not_executed(tmp_path: Path) -> None:
    request = json.dumps(tool_call(7, "create_report", title="half")).encode()
    with fuzz_server(tmp_path) as (wire, reports):
        before = reports.files()
        wire.stdin.write(request[:-2])
        assert [answer["error"]["code"] for answer in wire.rest()] == [PARSE_ERROR]
        assert wire.process.returncode == 0
        assert reports.files() == before


# --- Anything at all ---------------------------------------------------------------------

FRAGMENTS = st.sampled_from([
    b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\", b"\\u", b"\\ud800", b"\xff", b"\xf0\x9f", b"\x00",
    b"1e999", b"null", b"NaN", b'"jsonrpc":"2.0"', b'"id":7', b'"id":"7"', b'"method":"tools/call"',
    b'"params":', b'"name":"create_report"', b'"arguments":', b'"result":{}', b'"error":{}',
    b"\r", b" ", b"-", b"0",
])  # fmt: skip
WELL_FORMED = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.sampled_from(["2.0", "1.0", 2, None]),
        "id": st.integers() | st.text(max_size=5) | st.none() | st.floats(),
        "method": st.sampled_from(["tools/call", "tools/list", "ping", "x", 5, None]),
        "params": st.none() | st.just({}) | st.just([]) | st.just({"name": "list_reports", "arguments": []}),
        "result": st.just({}),
        "error": st.just({"code": 1, "message": "x"}) | st.just({}),
    },
).map(lambda message: json.dumps(message).encode())
LINES = st.binary(max_size=60) | st.lists(FRAGMENTS, max_size=14).map(b"".join) | WELL_FORMED


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINES.map(lambda line: line.replace(b"\n", b"")), min_size=1, max_size=8))
def test_no_line_ends_the_server_or_changes_anything(session: Session, lines: list[bytes]) -> None:
    for answer in session.answers(*lines):
        if "content" in answer.get("result", {}) or "error" in answer:
            check_answer(answer, session.reports.root)


# --- Limits, and the memory they hold ----------------------------------------------------


def megabytes(wire: Wire) -> int:
    """The most memory that the server ever had."""
    status = Path(f"/proc/{wire.process.pid}/status").read_text(encoding="ascii")
    [peak] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(peak.split()[1]) // 1024


def with_title(title: bytes, more: bytes = b"") -> bytes:
    """A call of create_report, written by hand: it may be what no JSON writer would write."""
    head = b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"create_report","arguments":'
    return head + b'{"title":"' + title + b'"' + more + b"}}}"


def with_sections(item: bytes, count: int) -> bytes:
    return with_title(b"x", b',"sections":[' + item * count + b"0]")


ALMOST = MAX_LINE_BYTES - 1_000
HEAVY: dict[str, Callable[[], bytes]] = {
    "64 MB": lambda: with_title(b"x" * 64_000_000),
    "wide characters": lambda: with_title(b"x" * ALMOST + "\U0001f600".encode()),
    "small objects": lambda: with_sections(b'{"a":1},', ALMOST // 8),
    "more than a report holds": lambda: with_sections(
        b'{"title":"a","content":"' + b"x" * 900_000 + "\U0001f600".encode() + b'"},', 34
    ),
}
HEAVY_TOO: dict[str, Callable[[], bytes]] = {
    "64 MB of brackets": lambda: with_sections(b"[],", 64_000_000 // 3),
    "escapes": lambda: with_title(b"\\u0041" * (ALMOST // 6)),
    "as long as it may be": lambda: with_title(b"x" * ALMOST),
    "bad at the end": lambda: with_title(b"x" * ALMOST + b"\xff"),
    "empty lists": lambda: with_sections(b"[],", ALMOST // 3),
    "numbers": lambda: with_sections(b"1.5,", ALMOST // 4),
    "short texts": lambda: with_sections(b'"ab",', ALMOST // 5),
    "just light enough": lambda: with_sections(b"[],", MAX_WEIGHT // 6 - 10),
}
KINDS = [*HEAVY, *(pytest.param(kind, marks=pytest.mark.full) for kind in HEAVY_TOO)]


@LINUX
@pytest.mark.parametrize("kind", KINDS)
def test_a_request_is_refused_before_it_takes_much_memory(tmp_path: Path, kind: str) -> None:
    with fuzz_server(tmp_path) as (wire, reports):
        before = reports.files()
        wire.send((HEAVY | HEAVY_TOO)[kind]())
        answer = receive(wire)
        assert answer["id"] == 7
        refused, error = check_answer(answer, tmp_path)
        assert refused
        assert error["code"] in (INVALID_REQUEST, PARSE_ERROR, "too_large", "invalid_input")
        assert reports.files() == before
        assert megabytes(wire) < MAX_MEGABYTES


@LINUX
def test_the_largest_report_is_made_within_the_same_memory(tmp_path: Path) -> None:
    sections = [{"title": f"{n}", "content": "\U0001f600" + "x" * 960_000} for n in range(16)]
    with fuzz_server(tmp_path) as (wire, _):
        refused, made = check_answer(
            exchange(wire, tool_call(7, "create_report", title="x", sections=sections)), tmp_path
        )
        assert not refused
        assert made["version"] == 1
        assert megabytes(wire) < MAX_MEGABYTES


@LINUX
@pytest.mark.full
def test_large_requests_at_once_do_not_add_up(tmp_path: Path) -> None:
    sections = [{"title": f"{n}", "content": "\U0001f600" + "x" * 960_000} for n in range(16)]
    with fuzz_server(tmp_path) as (wire, _):
        wire.send(*[tool_call(number, "create_report", title="x", sections=sections) for number in range(8)])
        answers = [receive(wire) for _ in range(8)]
        assert sorted(answer["id"] for answer in answers) == list(range(8))
        assert not any(check_answer(answer, tmp_path)[0] for answer in answers)
        assert megabytes(wire) < 2 * MAX_MEGABYTES


def test_a_large_request_does_not_hold_up_small_ones_before_it(tmp_path: Path) -> None:
    large = {"title": "x", "sections": [{"title": "x", "content": "x" * 990_000}], "reason": "y" * 1_500}
    with fuzz_server(tmp_path) as (wire, reports):
        held = tmp_path / "by_id" / reports.open["report_id"] / ".lock"
        with hold(held, 5.0):
            wire.send(tool_call(1, "get_report", report=reports.open["report_id"]))
            for number in (2, 3):
                wire.send(tool_call(number, "create_report", **large, tags=[f"{n:099}" for n in range(100)]))
            assert [receive(wire)["id"], receive(wire)["id"]] == [2, 3]
        assert receive(wire)["id"] == 1
