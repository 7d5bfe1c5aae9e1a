"""The output for a terminal: widths, cuts, colours, and nothing that moves its cursor."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Sequence

import pytest

from living_reports.cli import terminal
from living_reports.cli.page import show_markdown
from living_reports.cli.terminal import Terminal, cells, clean, cut, progress_indicator, size, wrap
from support.command_line import TerminalStream


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> TerminalStream:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return TerminalStream()


@pytest.fixture
def plain_screen(screen: TerminalStream, monkeypatch: pytest.MonkeyPatch) -> TerminalStream:
    monkeypatch.setenv("NO_COLOR", "1")
    return screen


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("日本", 4), ("é", 1), ("e\u0301", 1)])
def test_cells(text: str, width: int) -> None:
    assert cells(text) == width


def test_cut_keeps_within_the_width() -> None:
    assert cut("日本語テキスト", 7) == "日本語…"
    assert cut("short", 5) == "short"


def test_control_characters_are_shown_as_escapes() -> None:
    assert clean("a\x1b[2Jb\x07\u202ec\r\n\td\u200f") == r"a\x1b[2Jb\x07\u202ec" + "\n    d"


def test_only_the_terminal_itself_makes_colour(screen: TerminalStream) -> None:
    own = Terminal(screen)
    for text in ("\x1b[31mred", Terminal(TerminalStream()).style("red", "red"), "one\ntwo\r\x9b1m"):
        own.line(own.style("bold", "bold") + text)
        own.line(text, "red")
    assert len(screen.getvalue().splitlines()) == 6
    assert screen.getvalue().count("\x1b") == 12


def test_wrap_keeps_every_word_and_every_break() -> None:
    text = "one two three\n  four five six seven"
    lines = wrap(text, 14)
    assert lines == ["one two three", "  four five", "  six seven"]


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1200, "1.2 kB"), (120_000_000, "120 MB")]
)
def test_sizes_as_a_person_says_them(count: int, text: str) -> None:
    assert size(count) == text


def rows_of(screen: TerminalStream, rows: Sequence[Sequence[str]]) -> list[str]:
    Terminal(screen).table(rows)
    return screen.getvalue().splitlines()


def test_the_widest_column_gives_way(plain_screen: TerminalStream) -> None:
    lines = rows_of(plain_screen, [["id1", "word " * 20, "end"], ["id2", "short", "end"]])
    assert max(map(cells, lines)) <= 40
    assert [line.split()[-1] for line in lines] == ["end", "end"]
    assert lines[0].index("end") == lines[1].index("end")


def test_a_table_can_be_shown_whole(plain_screen: TerminalStream) -> None:
    Terminal(plain_screen).table([["id1", "some words that do not fit on one line", "end"]], whole=True)
    lines = plain_screen.getvalue().splitlines()
    assert lines == ["  id1  some words that do not fit    end", "       on one line"]


def test_colour_only_for_a_terminal_that_wants_it(
    screen: TerminalStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    Terminal(screen).line("x", "red")
    assert screen.getvalue() == "\x1b[31mx\x1b[0m\n"
    assert Terminal(io.StringIO()).style("x", "red") == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert Terminal(screen).style("x", "red") == "x"


class Watched(TerminalStream):
    """A terminal that says when something was written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def write(self, text: str) -> int:
        self.written.set()
        return super().write(text)


def test_a_progress_indicator_comes_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched()
    monkeypatch.setattr(sys, "stderr", watched)
    monkeypatch.setattr(terminal, "INDICATOR_DELAY_S", 0)
    with progress_indicator("verify Health"):
        assert watched.written.wait(10)
    assert watched.getvalue().startswith("\rverify Health … ")
    assert watched.getvalue().endswith("\r\x1b[K")


def test_no_progress_indicator_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_indicator("verify Health"):
        pass
    assert capsys.readouterr().err == ""


PAGE = """# Health

Some **bold** prose that is longer than the screen is wide.

- an item that is longer than the screen is wide

| Package | Size |
| --- | --- |
| <https://a.example> | 1 kB |

```
# left | alone   here
```
"""


def test_a_page_on_a_terminal(plain_screen: TerminalStream) -> None:
    show_markdown(Terminal(plain_screen), PAGE)
    assert plain_screen.getvalue().splitlines() == [
        "Health",
        "",
        "Some bold prose that is longer than",
        "the screen is wide.",
        "",
        "- an item that is longer than the screen",
        "  is wide",
        "",
        "  Package            Size",
        "  https://a.example  1 kB",
        "",
        "    # left | alone   here",
    ]


def test_a_page_elsewhere_is_left_as_it_is() -> None:
    stream = io.StringIO()
    show_markdown(Terminal(stream), PAGE)
    assert stream.getvalue() == PAGE
