"""Create and change reports through the store protocol alone."""

from __future__ import annotations

from typing import Any

from living_reports.model.delta import writing_places
from living_reports.model.event import AuditEvent, Author
from living_reports.model.report import Insight, Outline, Section
from living_reports.store.base import Event, Note, Store
from support.stored_reports import ANN, DAY, OTHER, REPORT, SECTION, event_of_type, text_of

BEN = Author("human", "ben/2.0")
INSIGHT = "7c0b7e1a-6a43-4c0e-9a56-3f1d2c4b5a70"


def outline(text: str = "one\n", title: str = "Health", report_id: str = REPORT, **more: Any) -> Outline:
    """Return an outline with one section, and what else is given."""
    section = Section(section_id=SECTION, title="Risks", content=text, created_at=DAY, updated_at=DAY)
    return Outline(
        report_id=report_id, title=title, created_at=DAY, updated_at=DAY, sections=[section], **more
    )


def insight(summary: str, **more: Any) -> Insight:
    """Return an insight."""
    return Insight(insight_id=INSIGHT, summary=summary, importance=5, created_at=DAY, updated_at=DAY, **more)


def create(store: Store, *texts: str, report_id: str = REPORT, title: str = "Health") -> Event:
    """Create a report with one version for each text; the event of the first."""
    first, *later = texts or ("one\n",)
    event = store.create(
        outline(first, title, report_id),
        Note("create", ANN, "first"),
        [(outline(text, title, report_id), Note("evolve", ANN, f"to {text!r}")) for text in later],
    )
    assert event is not None
    return event


def change(
    store: Store, text: str, *, report_id: str = REPORT, author: Author = ANN, request_id: str | None = None
) -> Event:
    """Replace the section's text; the event."""
    with store.edit(report_id) as transaction:
        old = transaction.snapshot.outline
        [section] = old.sections
        new = old.model_copy(update={"sections": [section.model_copy(update={"content": text})]})
        transaction.put(new, Note("evolve", author, "because", request_id))
    assert transaction.committed is not None
    return transaction.committed


def retitle(store: Store, title: str, report_id: str = REPORT) -> None:
    """Give a report another title, and the time of now."""
    with store.edit(report_id) as transaction:
        note = Note("rename", ANN)
        old = transaction.snapshot.outline
        transaction.put(old.model_copy(update={"title": title, "updated_at": note.ts}), note)


def long_history(store: Store, title: str = "Health", *, is_new: bool = True) -> None:
    """Give a report some hundred kilobytes of history, most of it about the tags; make it if it `is_new`."""
    if is_new:
        create(store, "one\n", "two\n", title=title)
        retitle(store, f"{title} of all")
    for number in range(60):
        with store.edit(REPORT) as transaction:
            old = transaction.snapshot.outline
            new = old.model_copy(update={"metadata": {"tags": [f"{number} " * 1_000]}})
            transaction.put(new, Note("tag_update", ANN))


def last_writes(store: Store, addresses: set[str]) -> dict[str, int]:
    """Return the versions that last wrote each value, as a transaction finds them."""
    with store.edit(REPORT) as transaction:
        return {at: event.version for at, event in transaction.last_writes(addresses).items()}


def by_walk(store: Store, addresses: set[str]) -> dict[str, int]:
    """Return the same from a walk through all events."""
    found: dict[str, int] = {}
    for event in reversed(list(store.events(REPORT))):
        written = {edit["at"] for edit in event.delta}
        found |= dict.fromkeys((at for at in addresses if writing_places(at) & written), event.version)
    return found


def current_text(store: Store, report_id: str = REPORT) -> str | None:
    """Return the section's text as it is now."""
    return text_of(store.read(report_id).outline)


def deletion(report_id: str = REPORT) -> AuditEvent:
    """Return an event that moves a report into the trash."""
    return event_of_type("delete", report_id)


def restoration(report_id: str = REPORT) -> AuditEvent:
    """Return an event that brings a report back."""
    return event_of_type("status_change", report_id)


__all__ = ["ANN", "BEN", "OTHER", "REPORT", "SECTION", "text_of"]
