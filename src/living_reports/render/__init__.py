"""The registry of page formats.

To add a format, write a module with `render(page) -> bytes` and add an entry to `FORMATS`. The tools, the
command line and the resources read the registry.

The registry itself loads nothing; a format and its libraries are loaded with its first page.

    >>> FORMATS["markdown"].render(Page(outline, today)).decode()
    '# Platform health …'
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from living_reports.render.page import Page


@dataclass(frozen=True)
class Format:
    """A format of pages.

    Attributes:
        name: The name in the tools and on the command line.
        suffix: The file suffix, without the dot.
        media_type: The media type.
        is_text: Whether an answer may contain the page; other pages are always written to files.
        render: Returns the page. Equal input always gives the same bytes.
    """

    name: str
    suffix: str
    media_type: str
    is_text: bool
    render: Callable[[Page], bytes]


def _markdown(page: Page) -> bytes:
    from living_reports.render.markdown import render

    return render(page)


def _html(page: Page) -> bytes:
    from living_reports.render.html import render

    return render(page)


_REGISTERED = (
    Format("markdown", "md", "text/markdown", is_text=True, render=_markdown),
    Format("html", "html", "text/html", is_text=False, render=_html),
)

FORMATS = {registered.name: registered for registered in _REGISTERED}
"""Every format by its name; the first is the default."""
