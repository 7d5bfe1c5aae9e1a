r"""The content of a report as HTML that is safe inside a page.

Rules:

- Markdown is CommonMark with tables and strikethrough. HTML in it, and content that is HTML, is
  rewritten by `markup`. Plain text is escaped; its lines and spaces are kept.
- Definitions of links (`[label]: address`) hold in the whole report; those of the same text come first.
  A definition of a footnote is none: it stays visible. All references of a page together expand to
  at most `MAX_EXPANDED_CHARS`, or to the length of the report if that is more; later ones stay as typed.
- Headings have inline Markdown without HTML.
- The sanitiser runs last, on all content. It keeps only the elements and attributes listed here, links to
  http, https, mailto and anchors of the page, and embedded images.
- An image is embedded if its first bytes are those of a PNG, JPEG, GIF or WebP file, whatever its name.
  One page embeds at most `MAX_IMAGES_BYTES` of images.
- Both libraries are loaded with the first page, not at start-up.

    >>> Prose().block("# Hello <script>alert(1)</script>", "markdown", top=3)
    '<h3 id="hello">Hello </h3>\n'
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import ChainMap, Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, unquote_to_bytes

from living_reports.model.report import ContentFormat, Outline
from living_reports.render.markup import ATTRIBUTES, BLOCKS, INLINE, Markup, linked, slug
from living_reports.render.page import ImageReader, is_web_address

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.token import Token
    from nh3 import Cleaner

MAX_IMAGES_BYTES = 32_000_000
MAX_IMAGES = 1_000
"""The most files that are read for one page; most may be too large to embed."""
MAX_EXPANDED_CHARS = 1_000_000

_KINDS = {
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/gif": re.compile(rb"GIF8[79]a"),
    "image/webp": re.compile(rb"RIFF....WEBP", re.DOTALL),
}
_EMBEDDED = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}")
_IMAGE = re.compile(r"!\[|<img", re.IGNORECASE)
_LINK = re.compile(r"(https?://|mailto:|#)[^\s\x00-\x20]*", re.IGNORECASE)
_NUMBER = re.compile(r"-?[0-9]{1,4}")

_OURS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "a": {"class": frozenset({"bare"})},
    "div": {
        "class": frozenset({"table", "plain"}),
        "role": frozenset({"group"}),
        "aria-label": frozenset({"Table"}),
        "tabindex": frozenset({"0"}),
    },
    "li": {"class": frozenset({"task"})},
    "pre": {"tabindex": frozenset({"0"})},
    "ol": {"type": frozenset({"1", "a", "A", "i", "I"})},
    "td": {"align": frozenset({"left", "right", "center"})},
    "th": {"align": frozenset({"left", "right", "center"}), "scope": frozenset({"row", "col"})},
}
"""The attributes that are limited to certain values."""


class Prose:
    """Converts the content of one page to HTML, and keeps its anchors unique.

    Args:
        images: Reads local images.
        left_out: Receives the sources of the images that are not shown. Images on the web are links instead.
        outline: The report whose definitions of links hold in all of its texts.
    """

    def __init__(
        self,
        images: ImageReader | None = None,
        left_out: dict[str, None] | None = None,
        outline: Outline | None = None,
    ) -> None:
        self._images = images
        self._left_out = {} if left_out is None else left_out
        self._image_bytes_left = MAX_IMAGES_BYTES
        self._images_left = MAX_IMAGES
        self._anchors: Counter[str] = Counter()
        self._links = _Links(outline)

    def block(self, text: str, content_format: ContentFormat, *, top: int) -> str:
        """Return content as blocks, with its highest heading at level `top`."""
        if content_format == "plain":
            return _cleaner().clean(f'<div class="plain">{linked(text)}</div>')
        html = text if content_format == "html" else _commonmark().render(text, self._links.of(text))
        return _cleaner().clean(Markup(top, self.anchor, self._embed).rewrite(html))

    def line(self, text: str) -> str:
        """Return Markdown as inline HTML, with its line breaks kept."""
        html = _commonmark().renderInline("  \n".join(text.strip().splitlines()), self._links.of(""))
        return _cleaner().clean(Markup(3, self.anchor, self._embed, INLINE).rewrite(html))

    def heading(self, title: str) -> tuple[str, str]:
        """Return a title with its inline Markdown as HTML, and as plain text; images become text."""
        line, env = " ".join(title.split()), self._links.of("")
        parser = _inline()
        [inline] = parser.parseInline(line, env)
        tokens = inline.children or []
        plain = " ".join(_text_of(tokens).split())
        if not plain:
            return escape(line, quote=False), line
        for token in tokens:
            if token.type == "image":
                token.type, token.content = "text", _text_of([token])
        html = parser.renderer.render([inline], parser.options, env)
        return _cleaner().clean(Markup(3, self.anchor, self._embed, INLINE).rewrite(html)), plain

    def anchor(self, title: str) -> str:
        """Return an id for a heading, unique on the page."""
        name = slug(title) or "section"
        while self._anchors[name]:
            self._anchors[name] += 1
            name = f"{name}-{self._anchors[name] - 1}"
        self._anchors[name] = 1
        return name

    def _embed(self, source: str) -> str | None:
        data = _decoded(source) if source[:5].lower() == "data:" else self._read(source)
        kind = next((kind for kind, start in _KINDS.items() if start.match(data)), None) if data else None
        if not data or not kind or len(data) > self._image_bytes_left:
            if source and not is_web_address(source):
                self._left_out[source] = None
            return None
        self._image_bytes_left -= len(data)
        return f"data:{kind};base64,{base64.b64encode(data).decode()}"

    def _read(self, source: str) -> bytes | None:
        if self._images is None or not source or self._images_left <= 0:
            return None
        self._images_left -= 1
        return self._images(unquote(source))


def local_images(outline: Outline) -> list[str]:
    """Return the sources of the images that a report shows from files, each once."""
    found: dict[str, None] = {}
    prose = Prose(left_out=found, outline=outline)
    for section in outline.sections:
        if section.content and section.content_format != "plain" and _IMAGE.search(section.content):
            prose.block(section.content, section.content_format, top=3)
        if section.notes and _IMAGE.search(section.notes):
            prose.block(section.notes, "markdown", top=3)
    for insight in outline.insights:
        if _IMAGE.search(insight.summary):
            prose.line(insight.summary)
    return [source for source in found if source[:5].lower() != "data:"]


def _text_of(tokens: Sequence[Token]) -> str:
    """Return the text of inline Markdown, without its marks."""
    return "".join(_text_of(each.children) if each.children else each.content for each in tokens)


def _decoded(uri: str) -> bytes | None:
    """Return the bytes of a base64 `data:` URI."""
    head, _, data = uri.partition(",")
    try:
        return base64.b64decode(unquote_to_bytes(data), validate=True) if head.endswith(";base64") else None
    except binascii.Error:
        return None


# --- Definitions of links ----------------------------------------------------------------

_Definitions = dict[str, dict[str, Any]]


class _Links:
    """The definitions of links in the Markdown of a report."""

    def __init__(self, outline: Outline | None) -> None:
        texts = list(_markdown_of(outline)) if outline else []
        self._own = {text: _defined(text) for text in texts if "]:" in text}
        self._shared: _Definitions = {}
        for own in self._own.values():
            for label, definition in own.items():
                self._shared.setdefault(label, definition)
        self.chars_left = max(MAX_EXPANDED_CHARS, sum(map(len, texts)))

    def of(self, text: str) -> dict[str, Any]:
        """Return the environment in which the parser reads a text."""
        return {"references": _Scope(self, self._own.get(text.strip("\n"), {}), self._shared)}


class _Scope(ChainMap[str, dict[str, Any]]):
    """The definitions that hold in one text."""

    def __init__(self, links: _Links, own: _Definitions, shared: _Definitions) -> None:
        super().__init__(dict(own), shared)
        self._links = links

    def get(self, label: str, default: Any = None) -> Any:
        """Return a definition, unless all that were used are too long together."""
        found = super().get(label, default)
        if found:
            self._links.chars_left -= len(found["href"]) + len(found["title"])
        return found if self._links.chars_left >= 0 else default


def _markdown_of(outline: Outline) -> Iterator[str]:
    for section in outline.sections:
        if section.content and section.content_format == "markdown":
            yield section.content.strip("\n")
        if section.notes:
            yield section.notes.strip("\n")


def _defined(text: str) -> _Definitions:
    """Return the definitions in a text; of a repeated label, the first."""
    found: dict[str, _Definitions] = {}
    _blocks().parse(text, found)
    return found.get("references", {})


# --- The libraries -----------------------------------------------------------------------


@lru_cache(1)
def _commonmark() -> MarkdownIt:
    return _parser().enable("table")


@lru_cache(1)
def _blocks() -> MarkdownIt:
    """Return the parser without what is inside of blocks, which defines nothing."""
    parser = _parser().enable("table")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


@lru_cache(1)
def _inline() -> MarkdownIt:
    """Return the parser of headings."""
    return _parser().disable("html_inline")


def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import reference

    class CommonMark(MarkdownIt):
        def validateLink(self, url: str) -> bool:  # noqa: N802
            return True  # the sanitiser decides; a link that it removes keeps its text

    def link_definition(state: StateBlock, start: int, end: int, silent: bool) -> bool:
        is_footnote = state.src.startswith("[^", state.bMarks[start] + state.tShift[start])
        return not is_footnote and reference(state, start, end, silent)

    parser = CommonMark("commonmark").enable("strikethrough")
    parser.block.ruler.at("reference", link_definition)
    return parser


@lru_cache(1)
def _cleaner() -> Cleaner:
    from nh3 import Cleaner

    plain = {name: set(kept) - set(_OURS.get(name, ())) for name, kept in ATTRIBUTES.items()}
    plain |= {heading: {"id"} for heading in ("h3", "h4", "h5", "h6")}
    return Cleaner(
        tags=set(INLINE | BLOCKS) - {"h1", "h2"},
        clean_content_tags={"script", "style"},
        attributes=plain,
        tag_attribute_values={tag: {k: set(v) for k, v in values.items()} for tag, values in _OURS.items()},
        attribute_filter=_attribute,
        url_schemes={"http", "https", "mailto", "data"},
        url_relative="pass_through",
    )


def _attribute(tag: str, name: str, value: str) -> str | None:
    """Return the value of an allowed attribute, or `None` to drop it."""
    match name:
        case "href":
            return value if _LINK.fullmatch(value) else None
        case "src":
            return value if _EMBEDDED.fullmatch(value) else None
        case "colspan" | "rowspan" | "start" | "value":
            return value if _NUMBER.fullmatch(value) else None
        case "dir":
            return value if value in ("ltr", "rtl", "auto") else None
    return value
