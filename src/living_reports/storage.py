"""The public names of the folder store, under the module name that earlier versions had."""

from living_reports.errors import LockTimeoutError, StorageError
from living_reports.store.files.audit import Note, Record, utc_now
from living_reports.store.files.index import ReportIndex
from living_reports.store.files.lock import ReportLock
from living_reports.store.files.report import Edit, ReportStorage
from living_reports.store.files.root import GlobalStorage
from living_reports.store.files.state import State
from living_reports.store.files.verify import Say

__all__ = [
    "Edit",
    "GlobalStorage",
    "LockTimeoutError",
    "Note",
    "Record",
    "ReportIndex",
    "ReportLock",
    "ReportStorage",
    "Say",
    "State",
    "StorageError",
    "utc_now",
]
