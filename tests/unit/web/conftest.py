"""The application of a worker on doubles, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.views import Client, ViewBench, view_bench


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ViewBench:
    """A worker that is ready, and has no keys."""
    bench = view_bench(tmp_path, monkeypatch)
    bench.become_ready()
    return bench


@pytest.fixture
async def client(bench: ViewBench) -> AsyncIterator[Client]:
    """Asks it."""
    async with bench.served() as client:
        yield client
