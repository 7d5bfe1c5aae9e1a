"""Rewrites somebody's HTML into the few elements a page is made of, whole and well nested.

Rules:

- This decides how content looks, not whether it is safe: `prose` sends everything written here
  through the sanitiser, last.
- Elements and attributes that are not listed are dropped and their text is kept; of scripts,
  styles, drawings and frames nothing is kept.
- Every element is closed inside its parent, and nothing nests deeper than `MAX_DEPTH`: an HTML
  parser takes time and memory without bound for a little text that breaks this.
- The highest heading becomes one of level `top`, the others follow it, down to 6. A heading gets
  an anchor from its words.
- A table scrolls in a box of its own. An image is shown if it can be embedded; else its words
  stand for it, as a link where it has an address. A bare address becomes a link, `[ ]` a box.
- One pass over the text, in time linear to its length.

    >>> Markup(top=3, anchor=slug, embed=lambda src: None).rewrite("<h1>One<p>two <img src=//a alt=b>")
    '<h3 id="one">One<p>two b</p></h3>'
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import escape, unescape

MAX_DEPTH = 100
MAX_ANCHOR_CHARS = 100


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


INLINE = _words(
    "a abbr b bdi br cite code del dfn em i img ins kbd mark q s samp small span strong sub sup time u "
    "var wbr"
)
BLOCKS = _words(
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
"""What content may say of its elements; `*` stands for every one."""

_NOTHING_KEPT = _words(
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
"""Which open elements the start of another one ends, though their end tags were left out."""

_TOKEN = re.compile(
    r"<!--(?:-?>|.*?(?:--!?>|\Z))"
    r"|<[!?][^>]*>?"
    r"|<(?P<end>/?)(?P<name>[A-Za-z][^\s/>]*)(?P<rest>(?:[^>\"'=]|=\s*(?:\"[^\"]*(?:\"|\Z)|'[^']*(?:'|\Z))?|[\"'])*+)>?"
    r"|(?P<text>[^<]+|<)",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"([^\s=/>\"']+)(?:\s*=\s*(\"[^\"]*|'[^']*|[^\s>\"']+))?")
_ALIGNED = re.compile(r"\s*text-align\s*:\s*(left|right|center)\s*;?\s*")
_ADDRESS = re.compile(r"https?://[^\s<>\"'`|]*[^\s<>\"'`|.,;:!?(){}\[\]*]")
_TASK = re.compile(r"\s*\[([ xX])\]\s+")
_TAG = re.compile(r"<[^>]*>")

Attributes = dict[str, str]


def slug(text: str) -> str:
    """The text as an anchor, as GitHub makes it: `What's new?` gives `whats-new`."""
    return re.sub(r"[^\w\- ]", "", text[:MAX_ANCHOR_CHARS].strip().lower()).replace(" ", "-")


def linked(text: str) -> str:
    """Plain text as HTML, the addresses in it as links."""
    shown, rest = [], 0
    for found in _ADDRESS.finditer(text):
        address = escape(found[0])
        shown += [
            escape(text[rest : found.start()], quote=False),
            f'<a class="bare" href="{address}">{address}</a>',
        ]
        rest = found.end()
    return "".join([*shown, escape(text[rest:], quote=False)])


@dataclass
class _Open:
    """An element that is open: where its start tag stands, and what closes it."""

    name: str
    at: int
    attributes: Attributes
    closing: str


@dataclass
class Markup:
    """The rewriting of one piece of content.

    `anchor` turns a heading's words into an id, `embed` an image's source into a `data:` URI, or
    `None` if it cannot be shown. Elements outside `allowed` lose their tags.
    """

    top: int
    anchor: Callable[[str], str]
    embed: Callable[[str], str | None]
    allowed: frozenset[str] = INLINE | BLOCKS
    _out: list[str] = field(default_factory=list)
    _stack: list[_Open] = field(default_factory=list)
    _lower: int = 0

    def rewrite(self, html: str) -> str:
        """The content as it stands on the page."""
        levels = [int(level) for level in re.findall(r"<h([1-6])\b", html, re.IGNORECASE)]
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
        """Close the innermost element of this name, unless that would end a table's cell around it."""
        for depth, element in enumerate(reversed(self._stack), 1):
            if element.name == name:
                for _ in range(depth):
                    self._close()
                return
            if element.name in _ROW_PARTS and name not in _TABLE_PARTS | {"table"}:
                return

    def _close(self) -> None:
        """Close the innermost element, now that its words are known."""
        element = self._stack.pop()
        if element.name in HEADINGS or element.name == "a":
            words = unescape(_TAG.sub("", "".join(self._out[element.at + 1 :])))
            self._out[element.at] = self._start_tag_of(element, words)
        self._out.append(element.closing)

    def _start_tag_of(self, element: _Open, words: str) -> str:
        if element.name in HEADINGS:
            anchored = {"id": self.anchor(words)} | element.attributes
            return _tag(f"h{self._level(element.name)}", anchored)
        bare = words.strip() == element.attributes.get("href")
        return _tag("a", element.attributes | ({"class": "bare"} if bare else {}))

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
        self._out.append(escape(text, quote=False) if code else linked(text))

    def _begins_item(self) -> bool:
        names = [element.name for element in self._stack[-2:]]
        return names[-1] == "li" or names == ["li", "p"]

    def _image(self, attributes: Attributes) -> str:
        source, words = attributes.get("src", ""), attributes.get("alt", "").strip()
        if uri := self.embed(source):
            return _tag("img", {"src": uri, "alt": words} | _only(attributes, "title"))
        if not _ADDRESS.fullmatch(source) or self._inside({"a"}):
            return escape(words, quote=False)
        return f"{_tag('a', {'href': source})}{escape(words or source, quote=False)}</a>"


def _tokens(html: str) -> Iterator[re.Match[str]]:
    """Tags and texts in turn, without comments and what is not to be kept."""
    at = 0
    while token := _TOKEN.match(html, at):
        at = token.end()
        name = (token["name"] or "").lower()
        if name in _NOTHING_KEPT and not token["end"]:
            ended = re.compile(rf"</{re.escape(name)}\b[^>]*>?", re.IGNORECASE).search(html, at)
            at = ended.end() if ended else len(html)
        elif name or token["text"]:
            yield token


def _attributes(name: str, text: str) -> Attributes:
    """An element's attributes as far as it may have them, the first of each name."""
    found: Attributes = {}
    kept = ATTRIBUTES["*"] | ATTRIBUTES.get(name, frozenset())
    for key, value in _ATTRIBUTE.findall(text):
        quoted = value[1:] if value[:1] in ("'", '"') else value
        if key.lower() == "style" and (aligned := _ALIGNED.fullmatch(quoted)):
            key, quoted = "align", aligned[1]
        if key.lower() in kept:
            found.setdefault(key.lower(), unescape(quoted))
    return found


def _only(attributes: Attributes, *names: str) -> Attributes:
    return {name: attributes[name] for name in names if name in attributes}


def _tag(name: str, attributes: Attributes) -> str:
    written = "".join(f' {key}="{escape(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>"
