"""A worker with keys, and one with records in its control log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.views import Client, ViewBench, view_bench
from tests.unit.web.control.asking import KEYS


@pytest.fixture
async def keyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ViewBench:
    """A worker with a key of each scope, where others have to approve policies."""
    bench = view_bench(tmp_path, monkeypatch, FRAUD_API_KEYS=KEYS, FRAUD_POLICY_APPROVAL="true")
    bench.become_ready()
    return bench


@pytest.fixture
async def locked(keyed: ViewBench) -> AsyncIterator[Client]:
    """Asks that one."""
    async with keyed.served() as client:
        yield client
