"""The tree of errors: one class per code, grouped by what the caller does next.

Rules: every error a caller can meet is a `ReportError`. Its `code` is stable, its
message says what is wrong, its hint says what to do, and `retry` says whether the
same call may be sent again (`same`), has to be changed first (`changed`), or cannot
succeed (`no`). No message carries a stack trace or a path outside the root.

    >>> NoSuchVersionError("There is no version 9.", hint="Versions run from 1 to 4.").answer()
    {'error': {'code': 'no_such_version', 'message': 'There is no version 9.', \
'hint': 'Versions run from 1 to 4.', 'retry': 'changed'}}
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

Retry = Literal["same", "changed", "no"]
Happened = Literal["yes", "no", "unknown"]


class ReportError(Exception):
    """The base: a refusal with a stable code.

    `details` holds what the code promises beside the four common fields, such as
    `candidates` or `current_version`; a detail that is `None` is left out.
    """

    code: ClassVar[str] = "internal"
    retry: ClassVar[Retry] = "no"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = {key: value for key, value in details.items() if value is not None}

    def answer(self) -> dict[str, Any]:
        """The error as a caller receives it: `{"error": {"code": …, …}}`."""
        common = {"code": self.code, "message": self.message, "hint": self.hint, "retry": self.retry}
        return {"error": common | self.details}


# --- Mend the request: nothing was found, or what was asked makes no sense ---------------


class RequestError(ReportError):
    """The caller mends the request and calls again."""

    retry = "changed"
    exit_code = 2


class InvalidInputError(RequestError):
    """An argument is wrong. Details: `path`, `allowed`, `did_you_mean`."""

    code = "invalid_input"


class TooLargeError(RequestError):
    """A limit was passed. Details: `path`, `limit`."""

    code = "too_large"


class RequestIdReusedError(RequestError):
    """The `request_id` was already used for another content."""

    code = "request_id_reused"


class NotFoundError(RequestError):
    """What the request names is not there."""

    exit_code = 3


class ReportNotFoundError(NotFoundError):
    """No report answers to this selector."""

    code = "report_not_found"


class ItemNotFoundError(NotFoundError):
    """No section, insight or text answers to this selector. Details: `path`, `near`."""

    code = "item_not_found"


class NoSuchVersionError(NotFoundError):
    """The report never had this version."""

    code = "no_such_version"


class AmbiguousSelectorError(NotFoundError):
    """Several answer to it. Details: `path`, `candidates`."""

    code = "ambiguous_selector"


# --- Read again, then decide: somebody else was faster -----------------------------------


class ConflictError(ReportError):
    """The caller looks at what changed and decides."""

    retry = "changed"
    exit_code = 4


class VersionConflictError(ConflictError):
    """The report has moved on. Details: `expected_version`, `current_version`, `conflicts`."""

    code = "version_conflict"


# --- The store could not do it -----------------------------------------------------------


class StorageError(ReportError, RuntimeError):
    """The files under the report could not be read or written as promised."""

    exit_code = 6


class LockTimeoutError(StorageError):
    """Another writer held the report for the whole time-out. Details: `waited_seconds`."""

    code = "lock_timeout"
    retry = "same"
    exit_code = 5


class StorageFailedError(StorageError):
    """The disk refused. Details: `happened`: `yes`, `no` or `unknown`."""

    code = "storage_failed"
    retry = "same"

    def __init__(self, message: str, *, happened: Happened, hint: str = "", **details: Any) -> None:
        super().__init__(message, hint=hint, happened=happened, **details)


class CorruptReportError(StorageError, ValueError):
    """The report's files contradict each other. Details: `damaged`, `newest_good_version`."""

    code = "corrupt_report"


# --- Our own fault -----------------------------------------------------------------------


class InternalError(ReportError):
    """A defect of this program; the log on stderr has the details."""

    code = "internal"
