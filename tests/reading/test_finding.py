"""Windows: each hit is whole in one of them, whatever the text."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from living_reports.reading.finding import MAX_WINDOWS, WINDOW_CHARS, Finder

PARTS = [
    "needle",
    "NEEDLE",
    "Stro\u0308me",
    "stra\u00dfe",
    "\u0130",
    "\ufb01",
    "\r\n",
    "\n",
    "\n\n",
    " ",
    "end. ",
    "word ",
    "e\u0301",
]
NEEDLES = ["needle", "STR\u00d6ME", "strasse", "needle needle", "\nneedle", "e", "i\u0307"]


def comparable(text: str) -> str:
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n"))
    return unicodedata.normalize("NFC", text.casefold())


@given(
    st.lists(st.sampled_from(PARTS), max_size=150).map("".join),
    st.sampled_from(NEEDLES),
    st.sampled_from([WINDOW_CHARS, 300, 600]),
)
def test_every_hit_is_counted_and_each_window_has_one(text: str, find: str, chars: int) -> None:
    found = Finder(find).found({"content": text}, chars)
    assert found.hits == comparable(text).count(comparable(find))
    shown = sum(comparable(window["text"]).count(comparable(find)) for window in found.windows)
    assert shown >= found.hits - found.hidden
    assert (found.hidden > 0) <= (len(found.windows) == MAX_WINDOWS)
    whole = unicodedata.normalize("NFC", text.replace("\r\n", "\n"))
    for window in found.windows:
        assert comparable(find) in comparable(window["text"])
        assert window["text"].strip("…") in whole
        assert len(window["text"]) <= max(chars, len(find)) + 2


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("a needle", "a needle"),
        ("words " * 60 + "needle" + " words" * 60, "…" + "words " * 16 + "needle" + " words" * 16 + "…"),
        ("x" * 300 + "needle" + "y" * 300, "…" + "x" * 97 + "needle" + "y" * 97 + "…"),
        ("needle\r\nnext line", "needle\nnext line"),
        ("\u1e9e" * 200 + " needle", "…" + "\u1e9e" * 96 + " needle"),
    ],
)
def test_a_window_is_the_text_around_a_hit(text: str, window: str) -> None:
    [shown] = Finder("Needle").found({"content": text}).windows
    assert shown == {"field": "content", "text": window}


SENTENCES = "First of all. " * 30
SHORT = "A paragraph with a needle."


@pytest.mark.parametrize(
    ("text", "window"),
    [
        (f"{SENTENCES}\n\n{'Words of it. ' * 30}needle.\n\n{SENTENCES}", f"{'Words of it. ' * 30}needle."),
        (
            "One two. " * 60 + "A needle! " + "Three. " * 60,
            "One two. " * 32 + "A needle! " + ("Three. " * 42)[:-1],
        ),
        (
            "- item\n" * 90 + "- needle\n" + "- item\n" * 90,
            "- item\n" * 42 + "- needle\n" + ("- item\n" * 42)[:-1],
        ),
    ],
)
def test_a_larger_window_ends_with_a_paragraph_or_a_sentence(text: str, window: str) -> None:
    [shown] = Finder("needle").found({"content": text}, 600).windows
    assert shown["text"] == f"…{window}…"


def test_a_short_paragraph_is_shown_with_its_neighbours() -> None:
    [shown] = Finder("needle").found({"content": f"{SENTENCES}\n\n{SHORT}\n\n{SENTENCES}"}, 600).windows
    assert SHORT in shown["text"]
    assert "First of all." in shown["text"]
    assert len(shown["text"]) <= WINDOW_CHARS + 2


def test_a_hit_longer_than_a_window_is_whole() -> None:
    long = "needle " * 100
    [shown] = Finder(long).found({"content": "before " + long + "after"}).windows
    assert shown["text"] == "…" + long + "…"


def test_hits_of_several_fields_come_in_order() -> None:
    fields = {"title": "Needle", "content": "none", "notes": "a needle, and a needle"}
    found = Finder("needle").found(fields)
    assert (found.hits, [window["field"] for window in found.windows]) == (3, ["title", "notes"])
