"""Compatibility: the public names of the folder store, under the module name that earlier versions had.

New code opens a store with `living_reports.store.open_store` and uses the protocol in
`living_reports.store.base`. What is here keeps working; it is limited to the folder store.

| name | now |
|---|---|
| `GlobalStorage` | `store.files.store.FolderStore` |
| `ReportStorage` | `store.files.store.ReportStorage` |
| `ReportIndex` | `store.files.catalogue.ReportIndex` |
| `ReportLock` | `store.files.lock.ReportLock` |
| `Edit` | `store.files.store.FolderTransaction` |
| `State` | `store.files.folder.State`, a `store.base.Snapshot` |
| `Record` | `store.files.log.Record`, a `store.base.Event` |
| `Note`, `utc_now` | the same in `store.base` |
| `Say` | `store.base.Progress` |
"""

from living_reports.errors import LockTimeoutError, StorageError
from living_reports.store.base import Note, utc_now
from living_reports.store.base import Progress as Say
from living_reports.store.files.catalogue import ReportIndex
from living_reports.store.files.folder import State
from living_reports.store.files.lock import ReportLock
from living_reports.store.files.log import Record
from living_reports.store.files.store import FolderStore as GlobalStorage
from living_reports.store.files.store import FolderTransaction as Edit
from living_reports.store.files.store import ReportStorage

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
