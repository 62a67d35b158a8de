"""The decision log of unit tests keeps the contract of the real one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from fraudapp.settings import load
from tests.contracts.decision_log import PARTITIONS, DecisionLogContract, Log
from tests.support.memory import MemoryBroker, MemoryDecisionLog


class TestMemoryDecisionLog(DecisionLogContract):
    @pytest.fixture
    def logs(self, tmp_path: Path) -> Iterator[Sequence[Log]]:
        settings = load({"FRAUD_TOPIC_PARTITIONS": str(PARTITIONS)})
        broker = MemoryBroker({settings.decisions_topic: PARTITIONS})
        logs = [MemoryDecisionLog(settings, broker, tmp_path / name) for name in "ab"]
        yield logs
        for log in logs:
            log.close()
