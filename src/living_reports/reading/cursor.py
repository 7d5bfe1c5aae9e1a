"""Where a long answer goes on: an opaque text that holds a version and a position.

Rules:

- A cursor holds the version that the first page was made of, so that later pages belong to
  the same text whatever has been written since.
- It refuses other arguments than those of the first page. An argument that is not stated
  (absent, `None`, `""`, `[]`, `0`, `False`) counts as absent.
- It says where to go on and nothing else: there is no state behind it, and it does not expire.
  A checksum finds a damaged one; it is not a secret.

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
"""A longer text is no cursor of ours."""

_CHECK_BYTES = 4


def encode(version: int, args: Mapping[str, Any], position: Any) -> str:
    """The cursor for a position (a JSON value) in the answer to these arguments."""
    body = _json([version, _fingerprint(args), position])
    return base64.urlsafe_b64encode(_check(body) + body).decode().rstrip("=")


def decode(cursor: str, args: Mapping[str, Any]) -> tuple[int, Any]:
    """The version and the position that the cursor holds.

    Raises:
        InvalidInputError: The cursor is damaged, or was made for other arguments.
    """
    version, fingerprint, position = _opened(cursor)
    if fingerprint != _fingerprint(args):
        raise InvalidInputError(
            "This cursor belongs to a call with other arguments.",
            hint="Repeat the arguments of the call that gave it, or leave the cursor out to start again.",
            path="cursor",
        )
    return version, position


def damaged() -> InvalidInputError:
    """The error for a cursor that leads nowhere."""
    return InvalidInputError(
        "This is not a cursor, or it was damaged on the way.",
        hint="Pass next_cursor exactly as it was given, or leave the cursor out to start again.",
        path="cursor",
    )


def _opened(cursor: str) -> tuple[int, str, Any]:
    if len(cursor) > MAX_CHARS:
        raise damaged()
    try:
        data = base64.b64decode(cursor.strip() + "=" * (-len(cursor.strip()) % 4), b"-_", validate=True)
        check, body = data[:_CHECK_BYTES], data[_CHECK_BYTES:]
        if check != _check(body):
            raise damaged()
        version, fingerprint, position = json.loads(body)
    except (binascii.Error, ValueError) as error:
        raise damaged() from error
    return version, fingerprint, position


def _fingerprint(args: Mapping[str, Any]) -> str:
    stated = {key: value for key, value in args.items() if value not in (None, "", [], (), 0)}
    return hashlib.sha256(_json(stated)).hexdigest()[:8]


def _check(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:_CHECK_BYTES]


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
