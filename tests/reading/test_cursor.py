"""A cursor continues where it was made, refuses other arguments, and detects damage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from living_reports.errors import InvalidInputError
from living_reports.reading import cursor

ARGS = {"view": "sections", "find": "latency", "sections": ["a"], "stale": False}


@given(version=st.integers(1), position=st.lists(st.integers(0) | st.text(), max_size=6))
def test_a_cursor_round_trips(version: int, position: list[int | str]) -> None:
    assert cursor.decode(cursor.encode(version, ARGS, position), ARGS) == (version, position)


def test_empty_arguments_are_ignored() -> None:
    text = cursor.encode(3, {"view": "full"}, [1])
    unstated: dict[str, object] = {
        "view": "full",
        "find": "",
        "sections": [],
        "status": None,
        "min_importance": 0,
        "stale": False,
    }
    assert cursor.decode(text, unstated) == (3, [1])


@pytest.mark.parametrize(
    "other",
    [{"view": "full"}, ARGS | {"find": "Latency"}, ARGS | {"sections": ["a", "b"]}, ARGS | {"stale": True}],
)
def test_a_cursor_refuses_other_arguments(other: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError, match="other arguments") as refused:
        cursor.decode(cursor.encode(3, ARGS, [1]), other)
    assert refused.value.details == {"path": "cursor"}


@pytest.mark.parametrize(
    "text", ["", "x", "abc", "é" * 8, "A" * 40, "next page", "A" * 10_000, "W10", "\ud800"]
)
def test_an_invalid_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="not a cursor") as refused:
        cursor.decode(text, ARGS)
    assert refused.value.details == {"path": "cursor"}


def test_every_changed_character_is_detected() -> None:
    text = cursor.encode(12, ARGS, [0, 4, 1200])
    for at, char in enumerate(text):
        changed = text[:at] + ("B" if char == "A" else "A") + text[at + 1 :]
        if changed.rstrip("=")[:-1] != text[:-1]:  # the last character may hold bits that mean nothing
            with pytest.raises(InvalidInputError):
                cursor.decode(changed, ARGS)
