"""Words in any script: normalised texts, queries and snippets.

Rules:

- Texts and queries are compared without case, without the accents of Latin and Greek letters
  (and ё as е), and in compatibility form: `ＡＢＣ` is `abc`, `ΕΛΛΆΔΑ` is `ελλαδα`, `Straße` is `strasse`.
- Scripts without spaces between words (Chinese, Japanese, Korean, Thai, Lao, Khmer, Burmese) and
  emoji are searched character by character. A run of them is found even inside a longer run, so
  words of one or two characters are found, too.
- A query consists of words that must all occur, `"quoted phrases"`, `prefixes*`, and the operators
  `OR` and `NOT` in capitals (`NOT` excludes texts that contain everything after it). A query that
  does not parse is searched as plain words: no query is an error.

    >>> parse_query('log4j "remote code" jndi*').expression
    '"log4j" "remote code" "jndi" *'
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise

from living_reports.model.report import normal_form

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U000323af"
)
_EMOJI = "\u2300-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"
_SINGLE = re.compile(f"([{_UNSPACED}{_EMOJI}])")
_TOKEN = re.compile(f"[{_UNSPACED}{_EMOJI}]|(?:(?![{_UNSPACED}{_EMOJI}])[^\\W_])+")
_ACCENTED = re.compile("[\u00c0-\u024f\u0300-\u03ff\u1e00-\u1fff]")
"""Latin and Greek letters that may have an accent, and accents."""
_ACCENTS = re.compile("(?<=[a-z\u0370-\u03ff])[\u0300-\u036f]+")
_BREAK = "\ue000"
_UNSEARCHABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ue000\ufe0e\ufe0f]")
_TERM = re.compile(r'"([^"]*)"(\*?)|(\S+)')
_OPERATORS = ("AND", "OR", "NOT")
_IN_WORD = r"[^\W_]"
_BETWEEN = rf"(?:(?![{_EMOJI}])[\W_])"
_PATTERN_WORDS = 16
"""The first words of a phrase that a snippet is looked for by."""
_SHOWN_TERMS = 32
"""The first terms of a query that snippets are looked for by."""

SNIPPET_CHARS = 160

TOKENIZER = "unicode61 remove_diacritics 2 categories 'L* N* Co So Mn Mc'"
"""The FTS5 tokenizer that splits the output of `searchable` into words."""


def folded(text: str) -> str:
    """Return the text in the form in which texts are compared."""
    if text.isascii():
        return text.lower()
    plain = normal_form("NFKC", text).casefold()
    if _ACCENTED.search(plain):
        plain = _ACCENTS.sub("", normal_form("NFD", plain))
    return normal_form("NFC", plain).replace("ё", "е")


def searchable(*texts: str) -> str:
    """Join texts for FTS5. A phrase cannot match across two of them."""
    return f" {_BREAK} ".join(_separated(_UNSEARCHABLE.sub(" ", folded(text))) for text in texts)


def _separated(text: str) -> str:
    return text if text.isascii() else _SINGLE.sub(r" \1 ", text)


@dataclass(frozen=True)
class Term:
    """A word, prefix or phrase of a query, folded."""

    text: str
    is_prefix: bool = False
    is_excluded: bool = False

    @property
    def expression(self) -> str:
        """The term in FTS5 syntax, quoted so that nothing in it is an operator."""
        plain = " ".join(_separated(self.text).replace('"', " ").split())
        return f'"{plain}"' + (" *" if self.is_prefix else "")

    @property
    def is_phrase(self) -> bool:
        """True if the term has several words, which must be adjacent."""
        return len(_TOKEN.findall(self.text)) > 1

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """A pattern that finds the term in a folded text.

        It begins with literal text and looks back afterwards, so that `re` can skip to the literal. What is
        between two words contains no word, so that a match never has to be tried in another way.
        """
        words = _TOKEN.findall(self.text)
        tokens = words[:_PATTERN_WORDS]
        inside = re.escape(tokens[0])
        before = "" if _SINGLE.match(tokens[0]) else f"(?<!{_IN_WORD}{inside})"
        after = "" if (self.is_prefix and tokens == words) or _SINGLE.match(tokens[-1]) else f"(?!{_IN_WORD})"
        inside += before
        for left, right in pairwise(tokens):
            gap = "*+" if _SINGLE.match(left) or _SINGLE.match(right) else "++"
            inside += _BETWEEN + gap + re.escape(right)
        return re.compile(inside + after)


@dataclass(frozen=True)
class Words:
    """A parsed query.

    Attributes:
        expression: The query in FTS5 syntax; empty if it contains nothing to search for.
        plain: All words of the query without operators, in FTS5 syntax: this always parses.
        wanted: The terms to show in snippets.
    """

    expression: str
    plain: str
    wanted: tuple[Term, ...]


def parse_query(query: str) -> Words:
    """Parse a query."""
    parts: list[str] = []
    terms: list[Term] = []
    negated = False
    for quoted, star, word in _TERM.findall(re.sub("[“”„«»]", '"', query)):
        if word in _OPERATORS:
            parts.append(word)
            negated = word == "NOT"
            continue
        text = _UNSEARCHABLE.sub(" ", folded(quoted or word))
        if _TOKEN.search(text):
            terms.append(Term(text.rstrip("*"), bool(star) or word.endswith("*"), negated))
            parts.append(terms[-1].expression)
    plain = [term.expression for term in terms]
    plain += [f'"{part.lower()}"' for part in parts if part in _OPERATORS]
    wanted = dict.fromkeys(term for term in terms if not term.is_excluded)
    return Words(" ".join(parts), " ".join(plain), tuple(wanted)[:_SHOWN_TERMS])


# --- Snippets -----------------------------------------------------------------------------


def best_matches(texts: list[str], terms: tuple[Term, ...], limit: int) -> list[tuple[int, str]]:
    """Return the position and a snippet of the texts that contain most of the terms, best first."""
    found = []
    for position, text in enumerate(texts):
        plain = folded(text)
        hits = [term for term in terms if term.pattern.search(plain)]
        if hits:
            found.append((-len(hits), position, max(hits, key=lambda term: len(term.text))))
    best = sorted(found, key=lambda hit: hit[:2])[:limit]
    return [(position, _around(texts[position], term)) for _, position, term in best]


def _around(text: str, term: Term) -> str:
    """Return the words around the first occurrence of the term."""
    begin, end = _span_of(text, term)
    margin = max(0, SNIPPET_CHARS - (end - begin)) // 2
    left, right = max(0, begin - margin), min(len(text), max(end, begin + SNIPPET_CHARS - margin))
    if left > 0 and (space := text.find(" ", left, begin)) >= 0:
        left = space + 1
    if right < len(text) and (space := text.rfind(" ", end, right)) >= 0:
        right = space
    inside = " ".join(text[left:right].split())
    return ("…" if left > 0 else "") + inside + ("…" if right < len(text) else "")


def _span_of(text: str, term: Term) -> tuple[int, int]:
    """Return the span of the term in the original text; the folded text may be longer or shorter."""
    start = 0
    for line in text.split("\n"):
        hit = term.pattern.search(folded(line))
        if hit:
            begin, end = _unfolded(line, *hit.span())
            return start + begin, start + end
        start += len(line) + 1
    return 0, 0  # the term spans several lines


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
    """Return the beginning of a text as a snippet."""
    flat = " ".join(text[: 4 * SNIPPET_CHARS].split())
    return flat if len(flat) <= SNIPPET_CHARS else flat[: SNIPPET_CHARS - 1] + "…"
