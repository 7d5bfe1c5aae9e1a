"""JSON that a command reads from a file or from stdin.

Rules: a name that the tool does not have is refused, with the nearest one it has; so is a
value of another type. What the values mean is the library's to judge.

    >>> tool_arguments({"titel": "Health"})
    InvalidInputError: create_report has no argument "titel".
"""

from __future__ import annotations

import difflib
import json
import sys
from pathlib import Path
from typing import Any

from living_reports.errors import InvalidInputError

CREATE_ARGUMENTS: dict[str, type] = {
    "title": str,
    "sections": list,
    "tags": list,
    "template": str,
    "from_reports": list,
    "reason": str,
    "request_id": str,
}


def read_json(file: str, option: str) -> Any:
    """The JSON in this file; `-` is stdin.

    Raises:
        InvalidInputError: The file cannot be read, or is not JSON.
    """
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
        return json.loads(text)
    except OSError as error:
        raise InvalidInputError(
            f"{option}: {file} cannot be read: {error.strerror}.",
            hint="Give a file, or - for stdin.",
            path=option,
        ) from error
    except ValueError as error:
        raise InvalidInputError(
            f"{option}: {'stdin' if file == '-' else file} is not JSON: {error}.",
            hint="Give JSON in UTF-8, as the tool takes it.",
            path=option,
        ) from error


def tool_arguments(data: Any) -> dict[str, Any]:
    """The arguments of `create_report`, what is not stated left out.

    Raises:
        InvalidInputError: It is no object, or an argument is unknown or of another type.
    """
    if not isinstance(data, dict):
        raise InvalidInputError(
            "--json-input must be a JSON object.",
            hint='Give create_report\'s arguments, such as {"title": "Health"}.',
            path="--json-input",
        )
    stated = {name: value for name, value in data.items() if value is not None}
    for name, value in stated.items():
        expected = CREATE_ARGUMENTS.get(name)
        if expected is None:
            raise _unknown(name)
        if not isinstance(value, expected):
            raise InvalidInputError(
                f"{name} must be {'text' if expected is str else 'an array'}.",
                hint="Mend it and run the command again.",
                path=name,
            )
    return stated


def _unknown(name: str) -> InvalidInputError:
    near = difflib.get_close_matches(name, CREATE_ARGUMENTS, n=1)
    return InvalidInputError(
        f'create_report has no argument "{name}".',
        hint=f'Did you mean "{near[0]}"?' if near else "Leave it out.",
        path=name,
        allowed=list(CREATE_ARGUMENTS),
        did_you_mean=near[0] if near else None,
    )
