"""Rewrite HTML from a report as well-nested HTML that uses few elements.

Rules:

- This module decides how content looks, not whether it is safe: `prose` sends its output through the
  sanitiser.
- Elements and attributes that are not listed are dropped, and their text is kept. Scripts, styles,
  drawings and frames are dropped with their text.
- Every element is closed inside its parent, and nothing nests deeper than `MAX_DEPTH`: otherwise a short
  text could cost an HTML parser unbounded time and memory.
- The highest heading gets the level `top`; the others follow it, down to 6. A heading gets an anchor made
  from its text.
- A table scrolls inside its own box. An image that cannot be embedded is replaced by a link if it
  has an address, else by a note with its description. A bare address becomes a link, and `[ ]` a check box.
- One pass over the text, in time linear to its length.

    >>> Markup(top=3, anchor=slug, embed=lambda src: None).rewrite("<h1>One<p>two <img src=//a alt=b>")
    '<h3 id="one">One<p>two [image not shown: b]</p></h3>'
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import escape, unescape

MAX_DEPTH = 100
MAX_ANCHOR_CHARS = 100
MAX_NAME_CHARS = 80
MAX_AMPERSANDS = 1_000
MAX_LINK_CHARS = 10_000
"""The length of HTML that is read to make an anchor, or to compare the text of a link with its address."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


INLINE = _names(
    "a abbr b bdi br cite code del dfn em i img ins kbd mark q s samp small span strong sub sup time u "
    "var wbr"
)
BLOCKS = _names(
    "blockquote caption dd details div dl dt figcaption figure h1 h2 h3 h4 h5 h6 hr li ol p pre summary "
    "table tbody td tfoot th thead tr ul"
)
VOID = frozenset({"br", "hr", "img", "wbr"})
HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})

ATTRIBUTES = {
    "*": frozenset({"title", "dir", "lang"}),
    "a": frozenset({"href"}),
    "details": frozenset({"open"}),
    "img": frozenset({"src", "alt"}),
    "li": frozenset({"value"}),
    "ol": frozenset({"start", "reversed", "type"}),
    "td": frozenset({"colspan", "rowspan", "align"}),
    "th": frozenset({"colspan", "rowspan", "align", "scope"}),
    "time": frozenset({"datetime"}),
}
"""The attributes that each element may have; `*` stands for every element."""

_NOTHING_KEPT = _names(
    "applet audio canvas embed frameset iframe math noembed noframes noscript object script select style "
    "svg template textarea title video xmp"
)
_ROW_PARTS = frozenset({"td", "th"})
_TABLE_PARTS = _ROW_PARTS | {"caption", "tbody", "tfoot", "thead", "tr"}
_ENDED_BY = {
    "li": frozenset({"li", "p"}),
    "dt": frozenset({"dt", "dd", "p"}),
    "dd": frozenset({"dt", "dd", "p"}),
    "td": _ROW_PARTS | {"p"},
    "th": _ROW_PARTS | {"p"},
    "tr": _ROW_PARTS | {"tr", "p"},
    **dict.fromkeys(("tbody", "tfoot", "thead"), _TABLE_PARTS | {"p"}),
    **dict.fromkeys(BLOCKS - _TABLE_PARTS - {"li", "dt", "dd"}, frozenset({"p"})),
}
"""The open elements that a start tag closes, because their end tags may be omitted."""

_TOKEN = re.compile(
    r"<!--(?:-?>|.*?(?:--!?>|\Z))"
    r"|<[!?][^>]*>?"
    r"|<(?P<end>/?)(?P<name>[A-Za-z][^\s/>]*)(?P<rest>(?:[^>\"'=]|=\s*(?:\"[^\"]*(?:\"|\Z)|'[^']*(?:'|\Z))?|[\"'])*+)>?"
    r"|(?P<text>[^<]+|<)",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"([^\s=/>\"']+)(?:\s*+=\s*+(\"[^\"]*|'[^']*|[^\s>\"']+))?")
_ALIGNED = re.compile(r"\s*+text-align\s*+:\s*+(left|right|center)\s*+;?\s*+")
_ADDRESS = re.compile(r"https?://[^\s<>\"'`|]*[^\s<>\"'`|.,;:!?(){}\[\]*]")
_TASK = re.compile(r"\s*+\[([ xX])\]\s++")
_TAG = re.compile(r"<[^<>]*+>")
_HEADING = re.compile(r"<h([1-6])\b", re.IGNORECASE)
_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")
_ENDS = {name: re.compile(rf"</{name}\b[^>]*+>?", re.IGNORECASE) for name in _NOTHING_KEPT}

Attributes = dict[str, str]


def slug(text: str) -> str:
    """Return the text as an anchor, as GitHub does: `What's new?` becomes `whats-new`."""
    return _NOT_IN_ANCHORS.sub("", text[:MAX_ANCHOR_CHARS].strip().lower()).replace(" ", "-")


def _escaped(text: str) -> str:
    """Return the text as HTML. Comments, which the sanitiser removes, interrupt many ampersands.

    The sanitiser takes quadratic time for the ampersands in one text (ammonia 4).
    """
    html = escape(text, quote=False)
    if text.count("&") <= MAX_AMPERSANDS:
        return html
    parts = html.split("&amp;")
    step = MAX_AMPERSANDS
    return "&amp;<!---->".join("&amp;".join(parts[at : at + step]) for at in range(0, len(parts), step))


def linked(text: str) -> str:
    """Return plain text as HTML, with its addresses as links."""
    shown, rest = [], 0
    for found in _ADDRESS.finditer(text):
        address = escape(found[0])
        shown += [
            _escaped(text[rest : found.start()]),
            f'<a class="bare" href="{address}">{address}</a>',
        ]
        rest = found.end()
    return "".join([*shown, _escaped(text[rest:])])


@dataclass
class _Open:
    """An open element: the position of its start tag in the output, and the tags that close it."""

    name: str
    at: int
    attributes: Attributes
    closing: str


@dataclass
class Markup:
    """The rewriting of one piece of content.

    Attributes:
        top: The level of the highest heading.
        anchor: Returns the id for the text of a heading.
        embed: Returns the `data:` URI for the source of an image, or `None` if it cannot be shown.
        allowed: The elements that keep their tags.
    """

    top: int
    anchor: Callable[[str], str]
    embed: Callable[[str], str | None]
    allowed: frozenset[str] = INLINE | BLOCKS
    _out: list[str] = field(default_factory=list)
    _stack: list[_Open] = field(default_factory=list)
    _lower: int = 0

    def rewrite(self, html: str) -> str:
        """Return the rewritten content."""
        levels = [int(level) for level in _HEADING.findall(html)]
        self._lower = self.top - min(levels, default=self.top)
        for token in _tokens(html):
            name = (token["name"] or "").lower()
            if token["text"]:
                self._text(unescape(token["text"]))
            elif name in self.allowed and token["end"]:
                self._end(name)
            elif name in self.allowed:
                self._start(name, _attributes(name, token["rest"]))
        while self._stack:
            self._close()
        return "".join(self._out)

    # Elements

    def _start(self, name: str, attributes: Attributes) -> None:
        while self._stack and self._stack[-1].name in _ENDED_BY.get(name, ()):
            self._close()
        if name == "img":
            self._out.append(self._image(attributes))
        elif name in VOID:
            self._out.append(f"<{name}>")
        elif len(self._stack) < MAX_DEPTH and not (name == "a" and self._inside({"a"})):
            self._open(name, attributes)

    def _open(self, name: str, attributes: Attributes) -> None:
        closing = f"</{name}>"
        if name in HEADINGS:
            closing = f"</h{self._level(name)}>"
        elif name == "table":
            self._out.append('<div class="table" role="group" aria-label="Table" tabindex="0">')
            closing = "</table></div>"
        elif name == "pre":
            attributes = {"tabindex": "0"}
        elif name == "th" and self._inside({"thead"}):
            attributes = {"scope": "col"} | attributes
        self._stack.append(_Open(name, len(self._out), attributes, closing))
        self._out.append(_tag(name, attributes))

    def _end(self, name: str) -> None:
        """Close the innermost element of this name, unless a table cell lies between."""
        for depth, element in enumerate(reversed(self._stack), 1):
            if element.name == name:
                for _ in range(depth):
                    self._close()
                return
            if element.name in _ROW_PARTS and name not in _TABLE_PARTS | {"table"}:
                return

    def _close(self) -> None:
        """Close the innermost element, and complete its start tag, which may depend on its text."""
        element = self._stack.pop()
        if element.name in HEADINGS or element.name == "a":
            self._out[element.at] = self._start_tag_of(element, self._text_after(element.at))
        self._out.append(element.closing)

    def _text_after(self, at: int) -> str:
        """Return the text after a start tag; of a long one, its beginning."""
        pieces = []
        chars = 0
        for index in range(at + 1, len(self._out)):
            piece = self._out[index]
            pieces.append(unescape(_TAG.sub("", piece)))
            chars += len(piece)
            if chars > MAX_LINK_CHARS:
                break
        return "".join(pieces)

    def _start_tag_of(self, element: _Open, text: str) -> str:
        if element.name in HEADINGS:
            anchored = {"id": self.anchor(text)} | element.attributes
            return _tag(f"h{self._level(element.name)}", anchored)
        is_bare = text.strip() == element.attributes.get("href")
        return _tag("a", element.attributes | ({"class": "bare"} if is_bare else {}))

    def _level(self, heading: str) -> int:
        return min(6, int(heading[1]) + self._lower)

    def _inside(self, names: set[str]) -> bool:
        return any(element.name in names for element in self._stack)

    # Text and images

    def _text(self, text: str) -> None:
        opened = self._stack[-1] if self._stack else None
        if opened and opened.at == len(self._out) - 1 and self._begins_item() and (task := _TASK.match(text)):
            self._out.append("☐ " if task[1] == " " else "☑ ")
            item = next(element for element in reversed(self._stack) if element.name == "li")
            self._out[item.at] = _tag("li", {"class": "task"})
            text = text[task.end() :]
        code = self._inside({"a", "code", "kbd", "pre", "samp"})
        self._out.append(_escaped(text) if code else linked(text))

    def _begins_item(self) -> bool:
        names = [element.name for element in self._stack[-2:]]
        return names[-1] == "li" or names == ["li", "p"]

    def _image(self, attributes: Attributes) -> str:
        source, description = attributes.get("src", ""), attributes.get("alt", "").strip()
        if uri := self.embed(source):
            return _tag("img", {"src": uri, "alt": description} | _only(attributes, "title"))
        if not _ADDRESS.fullmatch(source):
            name = description or source.rsplit("/", 1)[-1][:MAX_NAME_CHARS]
            return escape(f"[image not shown: {name}]" if source else description, quote=False)
        if self._inside({"a"}):
            return escape(description, quote=False)
        return f"{_tag('a', {'href': source})}{escape(description or source, quote=False)}</a>"


def _tokens(html: str) -> Iterator[re.Match[str]]:
    """Yield tags and texts, without comments and without elements that are dropped with their text."""
    at = 0
    while token := _TOKEN.match(html, at):
        at = token.end()
        name = (token["name"] or "").lower()
        if name in _NOTHING_KEPT and not token["end"]:
            ended = _ENDS[name].search(html, at)
            at = ended.end() if ended else len(html)
        elif name or token["text"]:
            yield token


def _attributes(name: str, text: str) -> Attributes:
    """Return the allowed attributes of an element; of a repeated attribute, the first."""
    found: Attributes = {}
    allowed = ATTRIBUTES["*"] | ATTRIBUTES.get(name, frozenset())
    for key, value in _ATTRIBUTE.findall(text):
        quoted = value[1:] if value[:1] in ("'", '"') else value
        if key.lower() == "style" and (aligned := _ALIGNED.fullmatch(quoted)):
            key, quoted = "align", aligned[1]
        if key.lower() in allowed:
            found.setdefault(key.lower(), unescape(quoted))
    return found


def _only(attributes: Attributes, *names: str) -> Attributes:
    return {name: attributes[name] for name in names if name in attributes}


def _tag(name: str, attributes: Attributes) -> str:
    written = "".join(f' {key}="{escape(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>"
