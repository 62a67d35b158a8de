"""The real decision log keeps the contract that the one of unit tests keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from fraudapp.decisions.log import DecisionLog
from fraudapp.kafka import topics as kafka_topics
from fraudapp.kafka.producer import BatchProducer
from fraudapp.local.server import Server
from fraudapp.settings import load
from tests.contracts.decision_log import PARTITIONS, DecisionLogContract, Log


class TestDecisionLog(DecisionLogContract):
    @pytest.fixture
    async def logs(
        self, kafka: Server, topics: dict[str, str], tmp_path: Path
    ) -> AsyncIterator[Sequence[Log]]:
        environment = {
            **topics,
            "FRAUD_BROKER_URL": kafka.url,
            "FRAUD_TOPIC_PARTITIONS": str(PARTITIONS),
        }
        each_settings = [
            load({**environment, "FRAUD_DATA_DIR": str(tmp_path / name)}) for name in "ab"
        ]
        await kafka_topics.ensure(each_settings[0])
        producer = BatchProducer(each_settings[0])
        await producer.start()
        logs = [DecisionLog(settings, producer) for settings in each_settings]
        for log in logs:
            await log.open()
        yield logs
        for log in logs:
            await log.close()
        await producer.stop()
