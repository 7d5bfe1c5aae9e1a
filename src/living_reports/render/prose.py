"""What a report says, as HTML that is safe to put into a page.

Rules:

- Markdown is CommonMark with tables and strikethrough. HTML in it, and content that is HTML, is
  rewritten as `markup` says. Plain text is escaped; its lines and spaces stay.
- The sanitiser comes last: whatever a report says has gone through it, and it lets through only
  the elements and attributes listed here, links to http, https, mailto and anchors of the page,
  and images that are embedded.
- An image is embedded if it is a PNG, JPEG, GIF or WebP by its first bytes, whatever it is called.
  No more than `MAX_IMAGES_BYTES` of them go into one page.
- Both libraries are loaded with the first page, not with the program.

    >>> Prose().block("# Hello <script>alert(1)</script>", "markdown", top=3)
    '<h3 id="hello">Hello </h3>\\n'
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_to_bytes

from living_reports.model.report import ContentFormat
from living_reports.render.markup import ATTRIBUTES, BLOCKS, INLINE, Markup, linked, slug

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from nh3 import Cleaner

ImageReader = Callable[[str], bytes | None]
"""Gives the bytes of the image at a path, or `None` if it may not or cannot be read."""

MAX_IMAGES_BYTES = 32_000_000

_KINDS = {
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/gif": re.compile(rb"GIF8[79]a"),
    "image/webp": re.compile(rb"RIFF....WEBP", re.DOTALL),
}
_EMBEDDED = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}")
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
"""Attributes that may only have one of these values."""


class Prose:
    """Turns the content of one page into HTML; knows which anchors are taken."""

    def __init__(self, images: ImageReader | None = None) -> None:
        self._images = images
        self._room_bytes = MAX_IMAGES_BYTES
        self._anchors: Counter[str] = Counter()

    def block(self, text: str, content_format: ContentFormat, *, top: int) -> str:
        """Content with its paragraphs, tables and headings, the highest of them of level `top`."""
        if content_format == "plain":
            return _cleaner().clean(f'<div class="plain">{linked(text)}</div>')
        html = text if content_format == "html" else _commonmark().render(text)
        return _cleaner().clean(Markup(top, self.anchor, self._embed).rewrite(html))

    def line(self, text: str) -> str:
        """A piece of Markdown without paragraphs of its own, its line breaks kept."""
        html = _commonmark().renderInline("  \n".join(text.strip().splitlines()))
        return _cleaner().clean(Markup(3, self.anchor, self._embed, INLINE).rewrite(html))

    def anchor(self, title: str) -> str:
        """An id for a heading of these words that no other has on this page."""
        name = slug(title) or "section"
        while self._anchors[name]:
            self._anchors[name] += 1
            name = f"{name}-{self._anchors[name] - 1}"
        self._anchors[name] = 1
        return name

    def _embed(self, source: str) -> str | None:
        data = _decoded(source) if source[:5].lower() == "data:" else self._read(source)
        kind = next((kind for kind, start in _KINDS.items() if start.match(data)), None) if data else None
        if not data or not kind or len(data) > self._room_bytes:
            return None
        self._room_bytes -= len(data)
        return f"data:{kind};base64,{base64.b64encode(data).decode()}"

    def _read(self, source: str) -> bytes | None:
        return self._images(unquote(source)) if self._images and source else None


def _decoded(uri: str) -> bytes | None:
    """The bytes that a `data:` URI holds in base64."""
    head, _, data = uri.partition(",")
    try:
        return base64.b64decode(unquote_to_bytes(data), validate=True) if head.endswith(";base64") else None
    except binascii.Error:
        return None


# --- The libraries -----------------------------------------------------------------------


@lru_cache(1)
def _commonmark() -> MarkdownIt:
    from markdown_it import MarkdownIt

    class CommonMark(MarkdownIt):
        def validateLink(self, url: str) -> bool:  # noqa: N802
            return True  # the sanitiser decides; a link it refuses keeps its words

    return CommonMark("commonmark").enable(["table", "strikethrough"])


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
    """The attribute's value if it may stand, one of the allowed names given."""
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
