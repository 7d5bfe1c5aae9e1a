"""The use cases, one module each, and `Library`, which binds them to one store.

The library passes time and ids to the pure modules, and their results to the store. It knows the store only
by its protocol (`store.base`): no files, no paths, no locks.
"""

from living_reports.library.library import Library

__all__ = ["Library"]
