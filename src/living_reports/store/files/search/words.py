"""Words in any script: the form in which texts are searched, queries, and snippets.

Rules:

- Texts and queries are compared without case, without the accents of Latin and Greek letters
  (and ё as е), and in compatibility form: `ＡＢＣ` is `abc`, `ΕΛΛΆΔΑ` is `ελλαδα`, `Straße` is `strasse`.
- Scripts that put no spaces between words (Chinese, Japanese, Korean, Thai, Lao, Khmer,
  Burmese) and emoji are searched character by character: a run of them in a query is found
  wherever it stands, even inside a longer one. So words of one or two characters are found, too.
- A query is words that all have to occur, `"quoted phrases"`, `beginnings*`, and `OR` and `NOT`
  in capitals (`NOT` takes out what has all that follows it). Where that makes no sense, all of it
  is searched as plain words: no query is an error.

    >>> parse_query('log4j "remote code" jndi*').expression
    '"log4j" "remote code" "jndi" *'
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U000323af"
)
_PICTURES = "\u2300-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"
_ALONE = re.compile(f"([{_UNSPACED}{_PICTURES}])")
_TOKEN = re.compile(f"[{_UNSPACED}{_PICTURES}]|(?:(?![{_UNSPACED}])[^\\W_])+")
_ACCENTED = re.compile("[\u00c0-\u024f\u0300-\u03ff\u1e00-\u1fff]")
"""Latin and Greek letters that may have an accent, and accents."""
_ACCENTS = re.compile("(?<=[a-z\u0370-\u03ff])[\u0300-\u036f]+")
_BREAK = "\ue000"
_UNUSABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ue000\ufe0e\ufe0f]")
_TERM = re.compile(r'"([^"]*)"(\*?)|(\S+)')
_OPERATORS = ("AND", "OR", "NOT")
_IN_WORD = r"[^\W_]"
_BETWEEN = r"[\W_]"

SNIPPET_CHARS = 160

TOKENIZER = "unicode61 remove_diacritics 2 categories 'L* N* Co So Mn Mc'"
"""What splits the texts made by `searchable` again, as FTS5 is told."""


def folded(text: str) -> str:
    """The text as it is compared."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKC", text).casefold()
    if _ACCENTED.search(plain):
        plain = _ACCENTS.sub("", unicodedata.normalize("NFD", plain))
    return unicodedata.normalize("NFC", plain).replace("ё", "е")


def searchable(*texts: str) -> str:
    """The texts as one that FTS5 takes in; a phrase does not reach from one into the next."""
    return f" {_BREAK} ".join(_spread(_UNUSABLE.sub(" ", folded(text))) for text in texts)


def _spread(text: str) -> str:
    return text if text.isascii() else _ALONE.sub(r" \1 ", text)


@dataclass(frozen=True)
class Term:
    """A word, a beginning or a phrase of a query, in compared form."""

    text: str
    is_prefix: bool = False
    is_excluded: bool = False

    @property
    def expression(self) -> str:
        """The term as FTS5 takes it; quoted, so that nothing in it is an operator."""
        plain = " ".join(_spread(self.text).replace('"', " ").split())
        return f'"{plain}"' + (" *" if self.is_prefix else "")

    @property
    def is_phrase(self) -> bool:
        """Whether its words have to stand side by side."""
        return len(_TOKEN.findall(self.text)) > 1

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What finds the term in a folded text.

        It begins with what is written there, and looks back after that: so `re` skips to it.
        """
        tokens = _TOKEN.findall(self.text)
        inside = re.escape(tokens[0])
        before = "" if _ALONE.match(tokens[0]) else f"(?<!{_IN_WORD}{inside})"
        after = "" if self.is_prefix or _ALONE.match(tokens[-1]) else f"(?!{_IN_WORD})"
        inside += before
        for left, right in pairwise(tokens):
            gap = "*" if _ALONE.match(left) or _ALONE.match(right) else "+"
            inside += _BETWEEN + gap + re.escape(right)
        return re.compile(inside + after)


@dataclass(frozen=True)
class Words:
    """A query that was taken apart.

    Attributes:
        expression: For FTS5; empty if nothing in the query can be searched for.
        plain: All words of the query without any operator: it always parses.
        wanted: The terms to show in snippets.
    """

    expression: str
    plain: str
    wanted: tuple[Term, ...]


def parse_query(query: str) -> Words:
    """Take a query apart."""
    parts: list[str] = []
    terms: list[Term] = []
    negated = False
    for quoted, star, word in _TERM.findall(re.sub("[“”„«»]", '"', query)):
        if word in _OPERATORS:
            parts.append(word)
            negated = word == "NOT"
            continue
        text = _UNUSABLE.sub(" ", folded(quoted or word))
        if _TOKEN.search(text):
            terms.append(Term(text.rstrip("*"), bool(star) or word.endswith("*"), negated))
            parts.append(terms[-1].expression)
    plain = [term.expression for term in terms]
    plain += [f'"{part.lower()}"' for part in parts if part in _OPERATORS]
    return Words(" ".join(parts), " ".join(plain), tuple(t for t in terms if not t.is_excluded))


# --- Snippets -----------------------------------------------------------------------------


def best_matches(texts: list[str], terms: tuple[Term, ...], limit: int) -> list[tuple[int, str]]:
    """The texts that hold most of the terms, best first: the position of each and a snippet."""
    found = []
    for position, text in enumerate(texts):
        plain = folded(text)
        hits = [term for term in terms if term.pattern.search(plain)]
        if hits:
            found.append((-len(hits), position, max(hits, key=lambda term: len(term.text))))
    best = sorted(found, key=lambda hit: hit[:2])[:limit]
    return [(position, _around(texts[position], term)) for _, position, term in best]


def _around(text: str, term: Term) -> str:
    """The words around the first place where the term stands."""
    begin, end = _place(text, term)
    margin = max(0, SNIPPET_CHARS - (end - begin)) // 2
    left, right = max(0, begin - margin), min(len(text), max(end, begin + SNIPPET_CHARS - margin))
    if left > 0 and (space := text.find(" ", left, begin)) >= 0:
        left = space + 1
    if right < len(text) and (space := text.rfind(" ", end, right)) >= 0:
        right = space
    inside = " ".join(text[left:right].split())
    return ("…" if left > 0 else "") + inside + ("…" if right < len(text) else "")


def _place(text: str, term: Term) -> tuple[int, int]:
    """Where the term stands in the text as written, whose folded form may be longer or shorter."""
    start = 0
    for line in text.split("\n"):
        hit = term.pattern.search(folded(line))
        if hit:
            begin, end = _unfolded(line, *hit.span())
            return start + begin, start + end
        start += len(line) + 1
    return 0, 0  # it reaches over the end of a line


def _unfolded(line: str, begin: int, end: int) -> tuple[int, int]:
    if line.isascii():
        return begin, end
    places = list(accumulate(map(_folded_length, line), initial=0))[:-1]
    first, behind = bisect_left(places, begin), bisect_left(places, end)
    return (first, behind) if first < behind else (0, 0)


@lru_cache(maxsize=10_000)
def _folded_length(char: str) -> int:
    return len(folded(char))


def opening(text: str) -> str:
    """The beginning of a text, as a snippet."""
    flat = " ".join(text[: 4 * SNIPPET_CHARS].split())
    return flat if len(flat) <= SNIPPET_CHARS else flat[: SNIPPET_CHARS - 1] + "…"
