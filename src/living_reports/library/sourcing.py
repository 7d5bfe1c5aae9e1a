"""The local files behind citations: their hashes when they are cited, and what they have now.

Rules:

- The hash is taken when the citation is asked for, of the file as it is then. One that the
  caller states is kept: the caller may have read the file at another time.
- Files outside the allowed folders have no hash, and nothing is said of them.
- A change is given its hashes before it is applied, so that applying stays pure and citing the
  same file again alters nothing while the file is the same.

    >>> [change] = with_hashes(parse_changes([cite]), Sources([Path("/srv/evidence")]))
    >>> change.fields["citation"]["response_hash"]
    '9f86d081884c7d65…'
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from typing import Any

from living_reports.changes import Change, citation_source
from living_reports.library.sources import Sources
from living_reports.model.report import Outline
from living_reports.reading.check import cited_documents

_HashOf = Callable[[str], str | None]


def with_hashes(changes: Iterable[Change], sources: Sources) -> list[Change]:
    """The changes, each document that they cite with the sha256 which its file has now."""
    hash_of = cache(sources.sha256_of)  # a call may cite one file many times
    return [_hashed(change, hash_of) for change in changes]


def current_hashes(outline: Outline, sources: Sources) -> dict[str, str | None]:
    """What the cited documents have now, by their paths; `None` for one that is gone or unreadable.

    Those outside the allowed folders are left out.
    """
    return {path: sources.sha256_of(path) for path in cited_documents(outline) if sources.allows(path)}


def _hashed(change: Change, hash_of: _HashOf) -> Change:
    if change.op == "remove_citation":  # its fields say which citation, not what to cite
        return change
    fields: dict[str, Any] = dict(change.fields)
    if "citation" in fields:
        fields["citation"] = _with_hash(fields["citation"], hash_of)
    if "citations" in fields:
        fields["citations"] = [_with_hash(each, hash_of) for each in fields["citations"]]
    if "insights" in fields:
        fields["insights"] = [_hashed(each, hash_of) for each in fields["insights"]]
    return replace(change, fields=fields)


def _with_hash(stated: dict[str, str], hash_of: _HashOf) -> dict[str, str]:
    if "response_hash" in stated or "path" not in stated or citation_source(stated) != "document":
        return stated
    sha256 = hash_of(stated["path"])
    return stated | {"response_hash": sha256} if sha256 else stated
