"""Splices: the differences between two texts or two lists, computed, applied, inverted and shown.

Rules:

- A splice is `[index, removed, inserted]`. The index counts in the OLD value (Unicode code
  points of a text, items of a list). Splices are in ascending order and do not overlap, so that
  one pass applies them. `removed` and `inserted` are texts for a text and lists for a list.
- The removed part has to be present exactly, or nothing is applied.
- Computing them takes time proportional to the size for any input: pieces that occur once on
  each side are matched first (as in a patience diff), the stretches between matches are searched
  for a short edit script (Myers), and a stretch without one is replaced as a block.
- A text is compared by lines, then by words. Splices contain whole words and numbers, so that
  the log is readable; of a very long word they contain only the part near the difference.
- Two splices are joined if the result is shorter to write.
- For people and models, a splice is shown in the line or sentence around it: the removed part as `[-old-]`
  in the old text, the inserted part as `{+new+}` in the new one.

    >>> between_texts("The build takes 14 minutes.", "The build takes 9 minutes.")
    [[16, '14', '9']]
    >>> apply("The build takes 14 minutes.", [[16, "14", "9"]])
    'The build takes 9 minutes.'
    >>> invert([[0, [], ["a", "b"]], [2, ["c"], []]])
    [[0, ['a', 'b'], []], [4, [], ['c']]]
    >>> excerpts("It takes 14 minutes.", "It takes 9 minutes.", [[9, "14", "9"]], 160)
    ('It takes [-14-] minutes.', 'It takes {+9+} minutes.')
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

Splice = list[Any]

MAX_EDITS = 100
"""The maximum number of insertions and removals in a shortest script."""

MAX_STEPS = 4
"""How often the search for a shortest script may look at a piece, on average."""

MAX_ROUNDS = 8
"""How many times the stretches between matches are searched for unique matches."""

SPLICE_CHARS = 15
"""The length of another splice in the log: brackets, quotes, commas and an index."""

WORD_CHARS = 30
"""The characters of a long word before and after a difference in it."""

CONTEXT_CHARS = 60
"""The characters of a sentence that are shown before and after a splice at most."""
LEAST_CONTEXT_CHARS = 15
"""A sentence that begins nearer to a splice is shown together with the one before it."""
_ABSORBED_CHARS = 8
"""A shorter stretch between two changed parts is shown as changed."""
_SHARES = 4

_MARKS = {"old": ("[-", "-]"), "new": ("{+", "+}")}
_ENDS = re.compile(r"\n|[.!?]\s|[。！？]")
"""The end of a line or of a sentence, with the space after it."""

_WORD = re.compile(r"\d+(?:[.,:]\d+)+|\w+")
_PIECES = re.compile(_WORD.pattern + r"|\s+|-+|[^\w\s-]+")


class Run(NamedTuple):
    """A differing stretch: `old[i1:i2]` became `new[j1:j2]`."""

    i1: int
    i2: int
    j1: int
    j2: int


def between_lists(old: Sequence[Any], new: Sequence[Any]) -> list[Splice]:
    """Return the splices between two lists of JSON values."""
    runs = _differences(*_comparable(old, new))
    return [[run.i1, list(old[run.i1 : run.i2]), list(new[run.j1 : run.j2])] for run in runs]


def _comparable(*lists: Sequence[Any]) -> list[Sequence[Hashable]]:
    """Return the lists with their items in a hashable form."""
    if all(isinstance(item, str) for items in lists for item in items):
        return list(lists)
    return [[as_json(item) for item in items] for items in lists]


def between_texts(old: str, new: str) -> list[Splice]:
    """Return the splices between two texts."""
    runs: list[Run] = []
    for lines in _by_pieces(old.splitlines(True), new.splitlines(True)):
        old_words = _PIECES.findall(old, lines.i1, lines.i2)
        new_words = _PIECES.findall(new, lines.j1, lines.j2)
        for words in _by_pieces(old_words, new_words, lines.i1, lines.j1):
            _add_text_run(runs, _trimmed(old, new, words))
    return [[run.i1, old[run.i1 : run.i2], new[run.j1 : run.j2]] for run in runs]


def apply(value: Any, splices: Any) -> Any:
    """Return the text or list with the splices applied; `value` is not modified.

    Raises:
        ValueError: The splices are malformed, or a removed part is not present.
    """
    kind = str if isinstance(value, str) else list
    if not isinstance(value, kind):
        raise ValueError("only a text or a list can be spliced")
    pieces: list[Any] = []
    done = 0
    for index, removed, inserted in _checked(splices):
        end = index + len(removed)
        if not isinstance(removed, kind) or end > len(value) or not same(value[index:end], removed):
            raise ValueError(f"the part to remove at {index} is not present")
        pieces += (value[done:index], inserted)
        done = end
    pieces.append(value[done:])
    return "".join(pieces) if kind is str else [item for piece in pieces for item in piece]


def invert(splices: Any) -> list[Splice]:
    """Return the splices of the opposite direction.

    Raises:
        ValueError: The splices are malformed.
    """
    back: list[Splice] = []
    shift = 0
    for index, removed, inserted in _checked(splices):
        back.append([index + shift, inserted, removed])
        shift += len(inserted) - len(removed)
    return back


def _checked(splices: Any) -> Iterator[tuple[int, Any, Any]]:
    if not isinstance(splices, list) or not splices:
        raise ValueError("splices must be a list of [index, removed, inserted]")
    done = 0
    for splice in splices:
        if not isinstance(splice, list) or len(splice) != 3 or type(splice[0]) is not int:
            raise ValueError("a splice must be [index, removed, inserted]")
        index, removed, inserted = splice
        if type(removed) is not type(inserted) or not isinstance(removed, str | list):
            raise ValueError("a splice must remove and insert either texts or lists")
        if index < done:
            raise ValueError("splices must ascend and not overlap")
        done = index + len(removed)
        yield index, removed, inserted


def as_json(value: Any) -> str:
    """Return the value as compact JSON with sorted keys; equal values give equal texts."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def same(one: Any, other: Any) -> bool:
    """Return whether two JSON values are saved alike; 1, 1.0 and true are not, nor are 0.0 and -0.0."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) and (type(one) is not float or repr(one) == repr(other))


# --- Shown -------------------------------------------------------------------------------


def between_ends(old: str, new: str) -> list[Splice]:
    """Return one splice of everything between the words that two texts share at their start and end."""
    run = _trimmed(old, new, Run(0, len(old), 0, len(new)))
    return [[run.i1, old[run.i1 : run.i2], new[run.j1 : run.j2]]]


def marked(text: str, side: str) -> str:
    """Return the text as a removed (`old`) or an inserted one (`new`)."""
    return text.join(_MARKS[side])


def excerpts(old: str, new: str, splices: Iterable[Splice], limit: int) -> tuple[str, str]:
    """Return the lines or sentences around the splices of both texts, with the changed parts marked.

    A text of which nothing was removed, or into which nothing was inserted, gives an empty one. A text that
    was replaced as a whole is shown by its beginning, without marks.

    Args:
        old: The text before.
        new: The text after.
        splices: The splices between them.
        limit: The length of each excerpt, approximately; splices that do not fit are left out.
    """
    removed: list[tuple[int, int]] = []
    inserted: list[tuple[int, int]] = []
    shift = 0
    for index, gone, came in splices:
        _add_span(removed, index, index + len(gone))
        _add_span(inserted, index + shift, index + shift + len(came))
        shift += len(came) - len(gone)
    return _excerpt(old, removed, "old", limit), _excerpt(new, inserted, "new", limit)


def _add_span(spans: list[tuple[int, int]], start: int, end: int) -> None:
    """Append a changed stretch, or extend the last one if it is near; an empty one is left out."""
    if start == end:
        return
    if spans and start - spans[-1][1] <= _ABSORBED_CHARS:
        start = spans.pop()[0]
    spans.append((start, end))


def _excerpt(text: str, spans: Sequence[tuple[int, int]], side: str, limit: int) -> str:
    if not spans:
        return ""
    if spans == [(0, len(text))]:
        return _cut(text, limit)
    shown = ""
    done = 0
    share = limit // min(len(spans), _SHARES)
    for number, (start, end) in enumerate(spans):
        room = limit - len(shown)
        if number and room < 2 * LEAST_CONTEXT_CHARS:
            return f"{shown} …"
        part = _cut(text[start:end], max(room - 2 * LEAST_CONTEXT_CHARS, LEAST_CONTEXT_CHARS))
        context = max(LEAST_CONTEXT_CHARS, min(CONTEXT_CHARS, (min(room, share) - len(part)) // 2))
        begin = max(done, _sentence_start(text, start, context))
        if begin > done:
            shown += " … " if number else "…" * (text[begin - 1] != "\n")
        shown += text[begin:start] + marked(part, side)
        next_start = spans[number + 1][0] if number + 1 < len(spans) else len(text)
        done = min(next_start, _sentence_end(text, end, context))
        shown += text[end:done]
    return shown + "…" * (done < len(text) and text[done] != "\n")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _sentence_start(text: str, at: int, chars: int) -> int:
    """Return where the line or sentence before a place begins; at most `chars` before it, then at a word."""
    first = max(0, at - chars)
    starts = [end.end() for end in _ENDS.finditer(text, max(0, first - 1), at)]
    for start in reversed(starts):
        if text[start - 1] == "\n" or start <= at - LEAST_CONTEXT_CHARS:
            return start
    return first if first == 0 else text.find(" ", first, at) + 1 or first


def _sentence_end(text: str, at: int, chars: int) -> int:
    """Return where the line or sentence at a place ends; at most `chars` after it, then at a word."""
    last = min(len(text), at + chars)
    if at and text[at - 1] == "\n":
        return at
    if end := _ENDS.search(text, at, min(len(text), last + 1)):
        return end.start() + (text[end.start()] != "\n")
    return last if last == len(text) else max(text.rfind(" ", at, last), at)


# --- Texts: from runs of pieces to runs of characters ------------------------------------


def _by_pieces(old: Sequence[str], new: Sequence[str], i: int = 0, j: int = 0) -> Iterator[Run]:
    """Yield the differences of the pieces in characters; the first pieces begin at i and j."""
    starts_old = list(accumulate(map(len, old), initial=i))
    starts_new = list(accumulate(map(len, new), initial=j))
    for i1, i2, j1, j2 in _differences(old, new):
        yield Run(starts_old[i1], starts_old[i2], starts_new[j1], starts_new[j2])


def _trimmed(old: str, new: str, run: Run) -> Run:
    """Return the run without the words that both sides share at its start and end."""
    i1, i2, j1, j2 = run
    shared = _common_prefix(old[i1:i2], new[j1:j2])
    back = max(_into_word(old, i1 + shared, i1, i2)[0], _into_word(new, j1 + shared, j1, j2)[0])
    i1, j1 = i1 + shared - back, j1 + shared - back
    shared = _common_prefix(old[i1:i2][::-1], new[j1:j2][::-1])
    on = max(_into_word(old, i2 - shared, i1, i2)[1], _into_word(new, j2 - shared, j1, j2)[1])
    return Run(i1, i2 - shared + on, j1, j2 - shared + on)


def _into_word(text: str, at: int, start: int, end: int) -> tuple[int, int]:
    """Count the characters of the word at a place before and after it; 0 between two words."""
    for word in _WORD.finditer(text, max(start, at - WORD_CHARS), min(end, at + WORD_CHARS)):
        if word.start() < at < word.end():
            return at - word.start(), word.end() - at
    return 0, 0


def _common_prefix(one: str, other: str) -> int:
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _add_text_run(runs: list[Run], run: Run) -> None:
    """Append the run, or extend the last one if that is shorter to write."""
    if runs and 2 * (run.i1 - runs[-1].i2) <= SPLICE_CHARS:
        last = runs.pop()
        run = Run(last.i1, run.i2, last.j1, run.j2)
    runs.append(run)


# --- Sequences: where they differ --------------------------------------------------------


def _differences(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[Run]:
    """Return the differing stretches in order, without adjacent ones."""
    runs: list[Run] = []
    _compare(old, new, Run(0, len(old), 0, len(new)), MAX_ROUNDS, runs)
    return runs


def _compare(
    old: Sequence[Hashable], new: Sequence[Hashable], within: Run, rounds: int, runs: list[Run]
) -> None:
    """Append the differences within this stretch to `runs`."""
    i1, i2, j1, j2 = within
    while i1 < i2 and j1 < j2 and old[i1] == new[j1]:
        i1, j1 = i1 + 1, j1 + 1
    while i1 < i2 and j1 < j2 and old[i2 - 1] == new[j2 - 1]:
        i2, j2 = i2 - 1, j2 - 1
    if i1 == i2 and j1 == j2:
        return
    here = Run(i1, i2, j1, j2)
    if min(i2 - i1, j2 - j1) == 0 or i2 - i1 == j2 - j1 == 1:
        _add_run(runs, here)
        return
    some, others = old[i1:i2], new[j1:j2]
    if rounds and (anchors := _unique_matches(some, others)):
        for gap in _gaps(anchors, here):
            _compare(old, new, gap, rounds - 1, runs)
    else:
        for gap in _gaps(_short_script(some, others), here):
            _add_run(runs, gap)


def _add_run(runs: list[Run], run: Run) -> None:
    """Append the run, joined to the last one if they touch."""
    if runs and runs[-1].i2 == run.i1 and runs[-1].j2 == run.j1:
        last = runs.pop()
        run = Run(last.i1, run.i2, last.j1, run.j2)
    runs.append(run)


def _gaps(matches: Iterable[tuple[int, int]], within: Run) -> Iterator[Run]:
    """Yield the stretches before, between and after the matches, which count from the run's start."""
    i, j = within.i1, within.j1
    for match_i, match_j in matches:
        match_i, match_j = match_i + within.i1, match_j + within.j1
        if match_i > i or match_j > j:
            yield Run(i, match_i, j, match_j)
        i, j = match_i + 1, match_j + 1
    if within.i2 > i or within.j2 > j:
        yield Run(i, within.i2, j, within.j2)


def _unique_matches(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return the longest ascending series of positions of pieces that occur once on each side."""
    in_old, in_new = Counter(old), Counter(new)
    at = {piece: j for j, piece in enumerate(new) if in_new[piece] == 1 and in_old[piece] == 1}
    pairs = [(i, at[piece]) for i, piece in enumerate(old) if piece in at]
    tails: list[int] = []  # the smallest j that ends a series of each length
    ends: list[int] = []  # which pair that is
    before: list[int] = []  # for each pair, the one before it in its series
    for number, (_, j) in enumerate(pairs):
        length = bisect_left(tails, j)
        tails[length : length + 1] = [j]
        ends[length : length + 1] = [number]
        before.append(ends[length - 1] if length else -1)
    series: list[tuple[int, int]] = []
    number = ends[-1] if ends else -1
    while number >= 0:
        series.append(pairs[number])
        number = before[number]
    return series[::-1]


def _short_script(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return the matching positions by Myers' greedy search; none if it takes too many edits or steps."""
    n, m = len(old), len(new)
    in_both = (Counter(old) & Counter(new)).total()
    if not in_both or n + m - 2 * in_both > MAX_EDITS:
        return []
    steps = MAX_STEPS * (n + m) + MAX_EDITS**2
    reach = {1: 0}  # diagonal i - j -> the furthest i on it
    history: list[dict[int, int]] = []
    for edits in range(min(n + m, MAX_EDITS) + 1):
        history.append(reach.copy())
        for diagonal in range(-edits, edits + 1, 2):
            start = i = _step(reach, diagonal, edits)
            while i < n and i - diagonal < m and old[i] == new[i - diagonal]:
                i += 1
            reach[diagonal] = i
            steps -= i - start
            if steps < 0:
                return []
            if i >= n and i - diagonal >= m:
                return _retrace(history, n, m)
    return []


def _step(reach: dict[int, int], diagonal: int, edits: int) -> int:
    """Return the position after one more insertion or removal on this diagonal."""
    inserts = diagonal == -edits or (diagonal != edits and reach[diagonal - 1] < reach[diagonal + 1])
    return reach[diagonal + 1] if inserts else reach[diagonal - 1] + 1


def _retrace(history: list[dict[int, int]], i: int, j: int) -> list[tuple[int, int]]:
    """Return the matches on the path of the search, traced back from its end."""
    matches: list[tuple[int, int]] = []
    for edits in range(len(history) - 1, -1, -1):
        reach, diagonal = history[edits], i - j
        start = _step(reach, diagonal, edits)
        while i > start:
            i, j = i - 1, j - 1
            matches.append((i, j))
        removed = edits and start != reach.get(diagonal + 1)
        i, j = (i - 1, j) if removed else (i, j - 1)
    return matches[::-1]
