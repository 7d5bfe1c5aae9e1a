"""The use cases: what can be done with reports, each inside the report's lock.

The library passes time and ids to the pure modules, and their results to store. It never
names a file: store is spoken to in use cases (create, edit, read, a version, the events).
"""

from living_reports.library.library import Library

__all__ = ["Library"]
