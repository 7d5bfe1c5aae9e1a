r"""Text that can be shown on a terminal or in a log: it neither moves the cursor nor hides what it says.

Titles, file names, names of clients and messages with any of these come from others. Control characters,
characters that change the direction of text, line and paragraph separators and lone surrogates are shown as
escapes. Invisible marks of direction, which are usual in Hebrew and Arabic, are left out.

    >>> escape("a\x1b[2Jb\n")
    'a\\x1b[2Jb\\n'
"""

from __future__ import annotations

import re

_MARKS = re.compile("[\u061c\u200e\u200f]")
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_UNSAFE_IN_JSON = re.compile(f"{_UNSAFE.pattern}|{_MARKS.pattern}")


def escape(text: str) -> str:
    """Return the text on one line, with everything that controls a terminal as an escape."""
    return _UNSAFE.sub(lambda found: repr(found[0])[1:-1], _MARKS.sub("", text))


def escape_json(text: str) -> str:
    r"""Return the same JSON with escapes for everything that controls a terminal.

    >>> escape_json('"\x9b"')
    '"\\u009b"'
    """
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
