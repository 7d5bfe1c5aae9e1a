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
    """The author of a change.

    Attributes:
        actor: The kind of actor.
        client: The name of the program, or of the user of the command line.
        user: The person for whom it acts; empty where that is not known.
    """

    actor: Actor
    client: str = ""
    user: str = ""


class AuditEvent(Model):
    """One line of `audit.jsonl`; the `payload` holds the version, the delta and the reason."""

    action_id: Uuid
    report_id: Uuid
    ts: str
    actor: Actor
    action_type: ActionType
    request_id: str | None = None
    payload: dict[str, Any] = Field(default_factory=dict)
