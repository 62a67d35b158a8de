"""A short torture with a fixed plan: the whole load, and what is seldom done by chance."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.choice import real
from tests.torture.cluster import Cluster
from tests.torture.run import Plan, torture

PLAN = Plan(
    seconds=20,
    seed=4,
    rate=200,
    only=("kill", "damage", "clock"),
    pace=0.25,
    stores=("set_back", "purge"),
)


@pytest.fixture
def cluster(tmp_path: Path, trained_models: Path) -> Iterator[Cluster]:
    made = real(lambda folder: Cluster(folder, 2), tmp_path)
    shutil.copytree(trained_models, tmp_path / "trained" / "models")
    try:
        made.start()
        yield made
    finally:
        made.stop()


async def test_no_promise_is_broken_by_a_short_torture(cluster: Cluster) -> None:
    verdict = await torture(cluster, PLAN)
    assert verdict.held, [*verdict.lost, *verdict.doubled, *verdict.miscounted][:20]
    assert verdict.kills
    assert verdict.faults >= len(PLAN.stores)
