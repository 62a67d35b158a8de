"""Fixtures of the tests that put record batches through the pipeline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.agents.bench import Bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """The pipeline with everything around it in memory."""
    bench = Bench(tmp_path)
    yield bench
    await bench.stop()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets an interrupted batch have hardly any time left."""
    monkeypatch.setattr("agents.in_flight.STOP_TIMEOUT", 0.01)
