"""Words in any script: normalised texts, queries and snippets.

Rules:

- Texts and queries are compared without case, without the accents of Latin and Greek letters
  (and ё as е), and in compatibility form: `ＡＢＣ` is `abc`, `ΕΛΛΆΔΑ` is `ελλαδα`, `Straße` is `strasse`.
- Vowel signs and other points of Arabic and Hebrew, tatweel, soft hyphens and marks of direction do not
  count. Arabic letters that are often typed for one another are the same: `أإآٱ` and `ا`, `ؤ` and `و`,
  `ئىی` and `ي`, `ة` and `ه`, `ک` and `ك`.
- Scripts without spaces between words (Chinese, Japanese, Korean, Thai, Lao, Khmer, Burmese) and
  emoji are searched character by character. A run of them is found even inside a longer run, so
  words of one or two characters are found, too.
- A query consists of words that must all occur, `"quoted phrases"`, `prefixes*`, and the operators
  `AND`, `OR` and `NOT` in capitals (`NOT` excludes texts that contain everything after it), with
  brackets. Brackets that do not group are ignored. A query that does not parse, or is too long to be
  parsed, is searched as plain words, without its operators: only one of too many words is an error.
- Words that punctuation joins (`log4j-core`, `title:foo`) are a phrase; if nothing contains that, words.

    >>> parse_query('log4j "remote code" jndi*').expression
    '"log4j" "remote code" "jndi" *'
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import accumulate, islice, pairwise
from typing import NamedTuple

from living_reports.errors import TooLargeError
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
_UNWRITTEN = re.compile(
    "[\u00ad\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # soft hyphen, direction
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\ufb1e"  # Hebrew
    "\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"
    "\u0897-\u089f\u08ca-\u08e1\u08e3-\u08ff\U00010efc-\U00010eff]+"  # Arabic
)
"""Signs that a text may have and a query for its words usually lacks."""
_ARABIC = re.compile("[\u0622-\u06d3]")
_SAME_LETTERS = str.maketrans("ٱىیةک", "اييهك")
_BREAK = "\ue000"
_UNSEARCHABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ue000\ufe0e\ufe0f]")
_NEAR = re.compile(r"\bNEAR\s*+\(")
_NEAR_END = re.compile(r",\s*+\d++\s*+\)")
_BRACKETS = re.compile(r"(?<!\S)\(++|(?<!\))\)++(?!\S)")
"""Brackets at the edge of a word, which may group."""
_PIECE = re.compile(r'(?<!\w)"([^"]*+)"(\*?)(?!\w)|([^\s"]++(?:"++[^\s"]++)*+)')
_MAX_DEPTH = 10
_MAX_NOTS = 100
"""A query with more is searched as words. The parser of FTS5 fails at about 15 brackets, or 250 `NOT`."""
_IN_WORD = r"[^\W_]"
_BETWEEN = rf"(?:(?![{_EMOJI}])[\W_])"
_OPERATOR = re.compile(f"{_BETWEEN}*+(AND|OR|NOT){_BETWEEN}*+")
_QUOTES = re.compile("[“”„«»]")
MAX_WORDS = 200
"""The different words of a query. One that repeats many between operators is searched as plain words.

FTS5 compares each occurrence in a text with the next one of every term, so that the time of a search is the
product of the number of terms and the number of their occurrences.
"""
_MAX_REPEATS = 20
_PHRASE_WORDS = 32
"""The first words of a phrase that it is found by."""
_SHOWN_TERMS = 32
"""The first terms of a query that snippets are looked for by."""

SNIPPET_CHARS = 160

TOKENIZER = "unicode61 remove_diacritics 2 categories 'L* N* Co So Mn Mc'"
"""The FTS5 tokenizer that splits the output of `searchable` into words."""


def folded(text: str) -> str:
    """Return the text in the form in which texts are compared."""
    if text.isascii():
        return text.lower()
    plain = _UNWRITTEN.sub("", normal_form("NFKC", text).casefold())
    if _ARABIC.search(plain):
        plain = _UNWRITTEN.sub("", normal_form("NFD", plain)).translate(_SAME_LETTERS)
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
    is_quoted: bool = False

    @property
    def words(self) -> list[Term]:
        """The first words of those that punctuation joins, each as a term."""
        spaced = "".join(char if _is_in_word(char) else " " for char in self.text)
        words = [replace(self, text=word, is_prefix=False) for word in spaced.split() if _TOKEN.search(word)]
        if self.is_prefix and 0 < len(words) <= _PHRASE_WORDS:
            words[-1] = replace(words[-1], is_prefix=True)
        return words[:_PHRASE_WORDS]

    @property
    def expression(self) -> str:
        """The term in FTS5 syntax, quoted so that nothing in it is an operator."""
        words = "".join(char if _is_in_word(char) else " " for char in _separated(self.text)).split()
        is_prefix = self.is_prefix and len(words) <= _PHRASE_WORDS
        return f'"{" ".join(words[:_PHRASE_WORDS])}"' + (" *" if is_prefix else "")

    @property
    def shown(self) -> list[str]:
        """The first words of the term, or its characters in scripts without spaces: those it is found by."""
        return _TOKEN.findall(self.text)[:_PHRASE_WORDS]

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
        tokens = self.shown
        inside = re.escape(tokens[0])
        before = "" if _SINGLE.match(tokens[0]) else f"(?<!{_IN_WORD}{inside})"
        is_open = self.is_prefix and len(tokens) < _PHRASE_WORDS
        after = "" if is_open or _SINGLE.match(tokens[-1]) else f"(?!{_IN_WORD})"
        inside += before
        for left, right in pairwise(tokens):
            gap = "*+" if _SINGLE.match(left) or _SINGLE.match(right) else "++"
            inside += _BETWEEN + gap + re.escape(right)
        return re.compile(inside + after)


def _is_in_word(char: str) -> bool:
    """Return whether the tokenizer takes the character as a part of a word."""
    return unicodedata.category(char) in ("So", "Co") or unicodedata.category(char)[0] in "LNM"


@dataclass(frozen=True)
class Words:
    """A parsed query.

    Attributes:
        expression: The query in FTS5 syntax, which always parses; empty if it contains nothing to search for.
        wanted: The terms to show in snippets.
        otherwise: What to search for if this finds nothing.
    """

    expression: str
    wanted: tuple[Term, ...]
    otherwise: Words | None = None


def parse_query(query: str) -> Words:
    """Parse a query.

    Raises:
        TooLargeError: It has too many words.
    """
    pieces = list(_without_repeats(_pieces(query)))
    terms = [piece for piece in pieces if isinstance(piece, Term)]
    different = _number_of_words(dict.fromkeys(terms))
    repeats = _number_of_words(terms) - different
    if different > MAX_WORDS:
        raise TooLargeError(
            f"query: the limit is {MAX_WORDS} different words, or characters in scripts without spaces.",
            hint="Search for fewer words at once.",
            path="query",
            limit=MAX_WORDS,
        )
    for grouped in (pieces, [piece for piece in pieces if piece not in ("(", ")")]):
        if repeats <= _MAX_REPEATS and (exact := _expression(grouped)):
            loose = Words(_expression(_without_repeats(_loosened(grouped))), _wanted(_loosened(pieces)))
            return Words(exact, _wanted(pieces), loose if loose.expression != exact else None)
    plain = [replace(term, is_excluded=False) for term in terms]
    words = list(dict.fromkeys(word for term in plain for word in term.words))
    return Words(" ".join(word.expression for word in words), _wanted(words))


def _number_of_words(terms: Iterable[Term]) -> int:
    return sum(len(term.shown) for term in terms)


def _without_repeats(pieces: Iterable[Term | str]) -> Iterator[Term | str]:
    """Yield the pieces without terms that were given before, since the last operator or bracket."""
    alike: set[Term] = set()
    for piece in pieces:
        if isinstance(piece, str):
            alike.clear()
        elif piece in alike:
            continue
        else:
            alike.add(piece)
        yield piece


def _pieces(query: str) -> Iterator[Term | str]:
    """Yield the terms of a query, its operators, and brackets that may group."""
    negated = False
    query = _QUOTES.sub('"', query)
    if _NEAR.search(query):  # `NEAR(a b, 5)` is searched as words
        query = _NEAR_END.sub(" ", _NEAR.sub(" ", query))
    query = _BRACKETS.sub(lambda brackets: " ".join(f" {brackets[0]} "), query)
    for quoted, star, word in _PIECE.findall(query):
        if word in ("(", ")"):
            yield word
        elif operator := _OPERATOR.fullmatch(word):
            negated = operator[1] == "NOT"
            yield operator[1]
        else:
            text = _UNSEARCHABLE.sub(" ", folded(quoted or word)).rstrip("*")
            term = Term(text, bool(star) or word.endswith("*"), negated, bool(quoted))
            if term.words:
                yield term


def _loosened(pieces: Iterable[Term | str]) -> Iterator[Term | str]:
    """Yield the pieces, each word of a term on its own that is not quoted."""
    for piece in pieces:
        yield from [piece] if isinstance(piece, str) or piece.is_quoted else piece.words


def _wanted(pieces: Iterable[Term | str]) -> tuple[Term, ...]:
    terms = (piece for piece in pieces if isinstance(piece, Term) and not piece.is_excluded)
    return tuple(islice(dict.fromkeys(terms), _SHOWN_TERMS))


def _expression(pieces: Iterable[Term | str]) -> str:
    """Return the pieces in FTS5 syntax; empty if they do not parse."""
    parts: list[str] = []
    depth = nots = 0
    needs_term = True
    for piece in pieces:
        if piece == "NOT" and parts[-1:] == ["AND"]:
            parts.pop()
        elif needs_term and piece in ("AND", "OR", "NOT", ")"):
            return ""
        elif not needs_term and (piece == "(" or (parts[-1] == ")" and isinstance(piece, Term))):
            parts.append("AND")
        needs_term = isinstance(piece, str) and piece != ")"
        depth += (piece == "(") - (piece == ")")
        nots += piece == "NOT"
        if not 0 <= depth <= _MAX_DEPTH or nots > _MAX_NOTS:
            return ""
        parts.append(piece if isinstance(piece, str) else piece.expression)
    return "" if needs_term or depth else " ".join(parts)


# --- Snippets -----------------------------------------------------------------------------


class Hit(NamedTuple):
    """A text that contains terms: its position among the texts, and a snippet with the place of its term."""

    position: int
    begin: int
    snippet: str


def best_matches(texts: list[str], terms: tuple[Term, ...], limit: int) -> list[Hit]:
    """Return the texts that contain most of the terms, best first."""
    found = []
    for position, text in enumerate(texts):
        plain = folded(text)
        hits = [term for term in terms if term.pattern.search(plain)]
        if hits:
            found.append((-len(hits), position, max(hits, key=lambda term: len(term.text))))
    best = sorted(found, key=lambda hit: hit[:2])[:limit]
    return [_around(position, texts[position], term) for _, position, term in best]


def _around(position: int, text: str, term: Term) -> Hit:
    """Return the words around the first occurrence of the term."""
    begin, end = _span_of(text, term)
    margin = max(0, SNIPPET_CHARS - (end - begin)) // 2
    left, right = max(0, begin - margin), min(len(text), max(end, begin + SNIPPET_CHARS - margin))
    if left > 0 and (space := text.find(" ", left, begin)) >= 0:
        left = space + 1
    if right < len(text) and (space := text.rfind(" ", end, right)) >= 0:
        right = space
    inside = " ".join(text[left:right].split())
    return Hit(position, begin, ("…" if left > 0 else "") + inside + ("…" if right < len(text) else ""))


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
