"""From a line of stdin to a message, or to the refusal that its sender gets.

Rules:

- A line that is no message is refused under its id, where that can be made out: without an answer
  its sender would wait for its time-out. A cut emoji is enough for that: JavaScript writes half of
  one as a lone surrogate, which is no Unicode.
- The id is looked for at the two ends of the line, where clients write it, and not by parsing again
  what could not be parsed. One that is not a whole number or a text is no id.
- What was sent is not repeated: not in the answer, not in the log.

    >>> read_message(b'{"jsonrpc":"2.0","id":7,"method":"\xff"}')
    Traceback (most recent call last):
    NoMessageError: Invalid JSON: invalid unicode code point at line 1 column 37
"""

from __future__ import annotations

import json
import re

import mcp_types as types
from pydantic import ValidationError

from living_reports.server.lines import END_BYTES, Line, Unparsed

_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_ID = rb'"id"\s*+:\s*+(?P<id>-?\d{1,4000}|' + _STRING + rb")\s*+"
_TEXT = _STRING + rb"\s*+:\s*+" + _STRING + rb"\s*+"
_AT_THE_BEGINNING = re.compile(rb"\{\s*+(?:(?!\"id\")" + _TEXT + rb",\s*+)*+" + _ID + rb"[,}]", re.DOTALL)
_AT_THE_END = re.compile(rb'"jsonrpc"\s*+:\s*+"2\.0"\s*+,\s*+' + _ID + rb"\}\Z", re.DOTALL)


class NoMessageError(ValueError):
    """A line that is no message of the protocol, with its id if it has one."""

    def __init__(self, problem: str, code: int, request_id: int | str | None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.code = code
        self.request_id = request_id

    def refusal(self) -> types.JSONRPCError | None:
        """The answer to it; `None` where nobody could tell what it answers."""
        if self.request_id is None:
            return None
        error = types.ErrorData(code=self.code, message=self.problem)
        return types.JSONRPCError(jsonrpc="2.0", id=self.request_id, error=error)


def read_message(line: Line) -> types.JSONRPCMessage:
    """The message that a line holds.

    Raises:
        NoMessageError: It holds none, or may not be parsed.
    """
    if isinstance(line, Unparsed):
        raise NoMessageError(f"Too large: {line.problem}.", types.INVALID_REQUEST, _request_id(line.ends))
    try:
        return types.jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        is_json = first["type"] != "json_invalid"
        code = types.INVALID_REQUEST if is_json else types.PARSE_ERROR
        problem = "This is JSON, but no message of the protocol." if is_json else first["msg"]
        raise NoMessageError(problem, code, _request_id(line)) from None


def _request_id(line: bytes) -> int | str | None:
    """The id of a request, if it stands before all objects and lists of the line or behind them."""
    match = _AT_THE_BEGINNING.match(line[:END_BYTES]) or _AT_THE_END.search(line[-END_BYTES:])
    if match is None:
        return None
    try:
        found: int | str = json.loads(match["id"])
        str(found).encode()  # an id that has no UTF-8 form cannot be answered
    except ValueError:
        return None
    return found
