"""The errors of the application: one class per code, grouped by the caller's next step.

Every error that reaches a caller is a `ReportError`. Its `code` is stable, the message states
the problem, the hint states the remedy, and `retry` states whether the call may be repeated
unchanged (`same`), has to be changed first (`changed`), or cannot succeed (`no`). No message
contains a stack trace or a path outside the root.

    >>> NoSuchVersionError("There is no version 9.", hint="Versions run from 1 to 4.").answer()
    {'error': {'code': 'no_such_version', 'message': 'There is no version 9.', \
'hint': 'Versions run from 1 to 4.', 'retry': 'changed'}}
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

Retry = Literal["same", "changed", "no"]
Happened = Literal["yes", "no", "unknown"]


class ReportError(Exception):
    """The base class of all errors.

    Attributes:
        details: Further fields of the answer that the code documents, such as `candidates` or
            `current_version`; details that are `None` are omitted.
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
        """Return the error in the form of an answer: `{"error": {"code": …, …}}`."""
        common = {"code": self.code, "message": self.message, "hint": self.hint, "retry": self.retry}
        return {"error": common | self.details}


# --- The request has to be corrected ------------------------------------------------------


class RequestError(ReportError):
    """The request has to be corrected."""

    retry = "changed"
    exit_code = 2


class InvalidInputError(RequestError):
    """An argument is wrong. Details: `path`, `allowed`, `did_you_mean`."""

    code = "invalid_input"


class TooLargeError(RequestError):
    """A limit is exceeded. Details: `path`, `limit`."""

    code = "too_large"


class RequestIdReusedError(RequestError):
    """The `request_id` was already used for other content."""

    code = "request_id_reused"


class NotFoundError(RequestError):
    """The request names something that does not exist."""

    exit_code = 3


class ReportNotFoundError(NotFoundError):
    """No report matches the selector."""

    code = "report_not_found"


class ItemNotFoundError(NotFoundError):
    """No section, insight or text matches. Details: `path`, `near`."""

    code = "item_not_found"


class NoSuchVersionError(NotFoundError):
    """The report has no such version."""

    code = "no_such_version"


class AmbiguousSelectorError(NotFoundError):
    """Several items match the selector. Details: `path`, `candidates`."""

    code = "ambiguous_selector"


# --- The report has changed since it was read ---------------------------------------------


class ConflictError(ReportError):
    """The caller has to review the changes and decide."""

    retry = "changed"
    exit_code = 4


class VersionConflictError(ConflictError):
    """The report has a newer version. Details: `expected_version`, `current_version`, `conflicts`."""

    code = "version_conflict"


# --- The store failed ---------------------------------------------------------------------


class StorageError(ReportError, RuntimeError):
    """The store could not read or write the report."""

    exit_code = 6


class LockTimeoutError(StorageError):
    """Another writer held the report until the time-out. Details: `waited_seconds`."""

    code = "lock_timeout"
    retry = "same"
    exit_code = 5


class StorageFailedError(StorageError):
    """The storage medium failed. Details: `happened` (`yes`, `no` or `unknown`)."""

    code = "storage_failed"
    retry = "same"

    def __init__(self, message: str, *, happened: Happened, hint: str = "", **details: Any) -> None:
        super().__init__(message, hint=hint, happened=happened, **details)


class CorruptReportError(StorageError, ValueError):
    """The stored data of the report is inconsistent. Details: `damaged`, `newest_good_version`."""

    code = "corrupt_report"


# --- Defects of this program --------------------------------------------------------------


class InternalError(ReportError):
    """A defect of this program; the log on stderr has the details."""

    code = "internal"
