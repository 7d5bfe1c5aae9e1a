"""Cursors: opaque texts that contain a version and the place where an answer was cut.

Rules:

- A cursor contains the version of the first answer, so that all answers belong to the same text whatever is
  written meanwhile.
- It refuses arguments that differ from those of the first answer. An empty argument (absent, `None`, `""`,
  `[]`, `0`, `False`) is the same as none.
- The server keeps no state for it, and it does not expire. A checksum detects damage; it is not a secret.

    >>> text = encode(4, {"view": "full"}, [2, 0])
    >>> decode(text, {"view": "full", "find": ""})
    (4, [2, 0])
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from living_reports.errors import InvalidInputError

MAX_CHARS = 4_000
"""The maximum length of a cursor."""

_CHECK_BYTES = 4


def encode(version: int, args: Mapping[str, Any], place: Any) -> str:
    """Return the cursor for a place (a JSON value) in the answer to these arguments."""
    body = _json([version, _fingerprint(args), place])
    return base64.urlsafe_b64encode(_check(body) + body).decode().rstrip("=")


def decode(cursor: str, args: Mapping[str, Any]) -> tuple[int, Any]:
    """Return the version and the place that a cursor contains.

    Raises:
        InvalidInputError: The cursor is damaged or belongs to other arguments.
    """
    version, fingerprint, place = _parse(cursor)
    if fingerprint != _fingerprint(args):
        raise InvalidInputError(
            "This cursor belongs to a call with other arguments.",
            hint="Repeat the arguments of the call that returned it, or leave the cursor out to start again.",
            path="cursor",
        )
    return version, place


def damaged() -> InvalidInputError:
    """Return the error for an invalid cursor."""
    return InvalidInputError(
        "This is not a cursor, or it is damaged.",
        hint="Pass next_cursor exactly as it was returned, or leave the cursor out to start again.",
        path="cursor",
    )


def _parse(cursor: str) -> tuple[int, str, Any]:
    if len(cursor) > MAX_CHARS:
        raise damaged()
    try:
        data = base64.b64decode(cursor.strip() + "=" * (-len(cursor.strip()) % 4), b"-_", validate=True)
        check, body = data[:_CHECK_BYTES], data[_CHECK_BYTES:]
        if check != _check(body):
            raise damaged()
        version, fingerprint, place = json.loads(body)
    except (binascii.Error, ValueError) as error:
        raise damaged() from error
    return version, fingerprint, place


def _fingerprint(args: Mapping[str, Any]) -> str:
    stated = {key: value for key, value in args.items() if value not in (None, "", [], (), 0)}
    return hashlib.sha256(_json(stated)).hexdigest()[:8]


def _check(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:_CHECK_BYTES]


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
