"""The events of a report's log: who changed what, when and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from living_reports.model.report import Model, Uuid

Actor = Literal["cli", "agent", "human"]
ActionType = Literal[
    "create",
    "evolve",
    "revert",
    "rename",
    "tag_update",
    "render",
    "manual_edit_detected",
    "backup",
    "status_change",
    "fork",
    "synthesize",
    "archive",
    "delete",
]


@dataclass(frozen=True)
class Author:
    """The kind of actor that makes a change, and the name of the client or person."""

    actor: Actor
    client: str = ""


class AuditEvent(Model):
    """One line of `audit.jsonl`; the `payload` holds the version, the delta and the reason."""

    action_id: Uuid
    report_id: Uuid
    ts: str
    actor: Actor
    action_type: ActionType
    request_id: str | None = None
    payload: dict[str, Any] = Field(default_factory=dict)
