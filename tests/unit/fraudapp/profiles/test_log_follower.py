"""The follower of the log leaves alone what the pipeline has settled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition

from fraudapp.profiles import log_follower
from fraudapp.profiles.folding import Folded
from fraudapp.profiles.log_follower import LogFollower
from fraudapp.settings import load
from tests.unit.fraudapp.profiles.shop import NOW, folded, paid


class Consumer:
    """Has fetched the end of the log, which is settled while it tells its position."""

    def __init__(self, profiles: Folded, events: Any, position: int) -> None:
        self._profiles = profiles
        self._events = events
        self._position = position

    def paused(self) -> set[TopicPartition]:
        return set()

    def highwater(self, tp: TopicPartition) -> int:
        return 1

    async def position(self, tp: TopicPartition) -> int:
        assert self._profiles.settle(tp.partition, 0, self._events, b"")
        return self._position


class NoIndexes:
    def decided(self, partition: int) -> None: ...

    def reading(self, partition: int) -> None: ...


@pytest.mark.parametrize("position", [0, 1, 2])
async def test_what_is_settled_meanwhile_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, position: int
) -> None:
    profiles = folded(tmp_path / "p")
    _, events = profiles.read([paid("t1").transaction], int(NOW.timestamp()))
    settings = load({"FRAUD_TOPIC_PARTITIONS": "1", "FRAUD_DATA_DIR": str(tmp_path)})
    consumer = Consumer(profiles, events, position)
    monkeypatch.setattr(log_follower, "new_consumer", lambda *_, **__: consumer)
    follower = LogFollower(settings, NoIndexes())
    await follower.rest(profiles)
    assert profiles.decisions == {0: max(1, position)}
    profiles.close()
