"""Fixtures of the contract suite: an empty place for a store, and the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from living_reports.store.base import Store
from support.backends import BACKENDS, Backend


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.__name__.removesuffix("Backend").lower())
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    made: Backend = request.param(tmp_path)
    return made


@pytest.fixture
def store(backend: Backend) -> Store:
    return backend.open()
