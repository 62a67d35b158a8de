"""The pipeline with everything around it in memory, and record batches to put through it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import numpy as np
from aiokafka import ConsumerRecord
from faust.types import EventT, Message
from msgspec import json
from numpy.typing import NDArray

from agents.in_flight import InFlight
from agents.partition_queues import Events
from agents.pipeline import Pipeline
from fraudapp.decisions.batch import Batch
from fraudapp.decisions.log_records import log_records
from fraudapp.decisions.waiters import DecisionWaiters
from fraudapp.faust_app import new_app
from fraudapp.kafka.record_batch import RecordBatch
from fraudapp.messages.publish import ORIGIN
from fraudapp.settings import load
from fraudapp.watch.batches import WatchedBatches
from fraudapp.worker import Started
from models.counts import Counts
from models.inputs import Position
from models.policies.in_force import of_thresholds
from models.records import Decision, Reason, Transaction
from models.schema.schema import PAYSIM
from tables.decision_counts import OwnCounts, Progress
from tables.global_table import ByPartition
from tests.support.decisions import decision, id_in_partition
from tests.support.memory import (
    MemoryBroker,
    MemoryConsumption,
    MemoryDecisionLog,
    MemoryListener,
    MemoryTable,
    until,
)
from tests.support.transactions import transaction

PARTITIONS: Final = 2
"""Partitions of the decision log."""
SURPLUS: Final = 3
"""A partition of the transactions topic that the decision log does not have."""
LARGE: Final = 500_000.0
"""An amount that is blocked; others are approved."""
UNSCORED: Final = "unscored"
"""A sender for whose transactions the model has no score."""
SOON: Final = 10.0
"""Seconds within which a test fails if it hangs."""
A, B, C = (id_in_partition(0, count, PARTITIONS) for count in range(3))
"""Ids whose key partition is 0."""
K, L, M = (id_in_partition(1, count, PARTITIONS) for count in range(3))
"""Ids whose key partition is 1."""


class FixedScorer:
    """A scorer that goes by the amount, and records what it is asked for."""

    version = "fixed"
    columns = "of a test"

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def matrix(self, transactions: Sequence[Transaction]) -> Any:
        self.asked.append([each.transaction_id for each in transactions])
        return np.array([self._score(each) for each in transactions], dtype=np.float64)

    def score_matrix(self, matrix: Any) -> NDArray[np.float64]:
        return cast("NDArray[np.float64]", matrix)

    def explain(
        self, transactions: Sequence[Transaction], rows: Sequence[int]
    ) -> list[list[Reason]]:
        return [[Reason("LARGE", "It is large.", 1.0)] for _ in rows]

    @staticmethod
    def _score(each: Transaction) -> float:
        if each.nameOrig == UNSCORED:
            return float("nan")
        return 0.9 if each.amount >= LARGE else 0.1


class RecordedCounts(OwnCounts):
    """The counts of partitions, with what was added to them."""

    def __init__(self, table: MemoryTable[Counts]) -> None:
        super().__init__(cast("ByPartition[Counts]", table))
        self.added: list[tuple[int, Progress]] = []

    async def add(self, generation: int, partition: int, progress: Progress) -> None:
        self.added.append((partition, progress))
        await super().add(generation, partition, progress)


class Bench:
    """A pipeline whose surroundings can be told what to do, and asked what has come of it."""

    def __init__(self, folder: Path) -> None:
        self.settings = load({"FRAUD_TOPIC_PARTITIONS": str(PARTITIONS)})
        self.inputs: Final = self.settings.transactions_topic
        self.log_topic: Final = self.settings.decisions_topic
        self.dead_letters_topic: Final = self.settings.dead_letters_topic
        self.broker = MemoryBroker(
            {
                self.inputs: SURPLUS + 1,
                self.log_topic: PARTITIONS,
                self.dead_letters_topic: PARTITIONS,
            }
        )
        self.consumption = MemoryConsumption(self.broker)
        self.log = MemoryDecisionLog(self.settings, self.broker, folder / "ours")
        self._other = MemoryDecisionLog(self.settings, self.broker, folder / "theirs")
        self._other_generation = 0
        self.table = MemoryTable[Counts]()
        self.counts = RecordedCounts(self.table)
        self.scorer = FixedScorer()
        self.waiters = DecisionWaiters()
        self.listener = MemoryListener()
        self.told_of: list[tuple[int, str]] = []
        """Partitions and ids of decisions that labels may wait for."""
        self.writers: list[Any] = []
        """The sink writers."""
        self.app = new_app(self.settings)
        self.app.flow_control.resume()
        self.in_flight = InFlight(self.app, self.consumption)
        self.topic_ids = {self.inputs: "id-1", self.log_topic: "id-2"}
        self.failures: list[BaseException] = []
        """Of the tasks of the completion; a test that expects some clears them."""
        self.counted: list[Decision] = []
        """What the pipeline has said that it has decided."""
        self.watch = WatchedBatches(lambda version: None)
        self.started = self._started()
        self.pipeline = Pipeline(
            self.settings,
            self.started,
            self.in_flight,
            self.counts,
            decided=self.counted.extend,
            ended=self.ended,
        )
        self._completing = asyncio.create_task(self.pipeline.completion.run())
        self._delivered: defaultdict[int, int] = defaultdict(int)
        self._settled = asyncio.Event()
        self._settled.set()

    async def stop(self) -> None:
        self._completing.cancel()
        await asyncio.wait([self._completing])
        self.log.close()
        self._other.close()
        assert not self.failures

    def ended(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (exc := task.exception()):
            self.failures.append(exc)

    def put(
        self,
        value: bytes | None,
        partition: int = 0,
        key: bytes | None = None,
        headers: Iterable[tuple[str, bytes]] = (),
    ) -> ConsumerRecord:
        """Let a producer append one record to the topic of transactions."""
        return self.broker.put(self.inputs, partition, value, key, headers)

    def put_transactions(self, *ids: str, partition: int = 0, **changes: Any) -> None:
        for each in ids:
            self.put(json.encode(transaction(each, **changes)), partition)

    def delivered(self, partition: int = 0, generation: int | None = None) -> Events:
        """Return all of a partition that was not delivered before, as one record batch."""
        records = self.broker.topics[self.inputs][partition][self._delivered[partition] :]
        self._delivered[partition] += len(records)
        now = self.consumption.generation if generation is None else generation
        return [event_of(records, now)]

    def undelivered(self, partition: int) -> int:
        return len(self.broker.topics[self.inputs][partition]) - self._delivered[partition]

    def deliver_again(self, partition: int = 0) -> None:
        """Let the next batch of a partition begin with its first record."""
        self._delivered[partition] = 0

    async def decide(self, *batch: Events) -> None:
        """Take a batch the whole way."""
        parts = await self.pipeline.begin(batch)
        await asyncio.gather(*map(self.pipeline.finish, parts))
        await self.completed(*batch)

    async def completed(self, *batch: Events) -> None:
        """Return once all of it was acknowledged or released."""
        await until(lambda: self.failures or all(map(self.is_done, batch)))

    def is_done(self, events: Events) -> bool:
        done = [*self.consumption.acknowledged, *self.consumption.released]
        return _has(done, events)

    def is_acknowledged(self, events: Events) -> bool:
        return _has(self.consumption.acknowledged, events)

    def is_released(self, events: Events) -> bool:
        return _has(self.consumption.released, events)

    async def another_writer_decides(self, *ids: str, partition: int = 0, **changes: Any) -> None:
        """Let another worker, which takes the partition for its own, append decisions."""
        self._other_generation += 1
        index = await self._other.ready(partition, self._other_generation)
        fields = {"topic": self.inputs, "partition": partition, "offset": 1_000_000, **changes}
        new = [decision(each, **fields) for each in ids]
        assert await self._other.append(partition, Batch(new), index.next_offset)

    def decided(self, partition: int = 0) -> dict[str, Decision]:
        """Return the decisions of a partition of the log: the first under each id."""
        found: dict[str, Decision] = {}
        for each in log_records(self.broker.topics[self.log_topic][partition], PARTITIONS):
            found.setdefault(each.decision.transaction_id, each.decision)
        return found

    def dead_letters(self) -> list[ConsumerRecord]:
        return [each for there in self.broker.topics[self.dead_letters_topic] for each in there]

    def reasons(self) -> list[str]:
        return [dict(each.headers)["reason"].decode() for each in self.dead_letters()]

    def rerouted(self, partition: int) -> list[ConsumerRecord]:
        """Return the records of the topic of transactions that were sent on to a partition."""
        return [e for e in self.broker.topics[self.inputs][partition] if ORIGIN in dict(e.headers)]

    def fates(self, partition: int = 0) -> dict[str, int]:
        """Return what the table counts of a partition."""
        return self.table.values[partition].fates

    def hold_assignment(self) -> None:
        """Let nobody know yet how far sinks have come."""
        self._settled.clear()

    def settle_assignment(self) -> None:
        self._settled.set()

    def _started(self) -> Started:
        unused = cast("Any", None)
        return Started(
            scorer=self.scorer,
            control=cast(
                "Any", SimpleNamespace(in_force=of_thresholds(self.settings.policy, PAYSIM))
            ),
            waiters=self.waiters,
            producer=cast("Any", self.broker),
            decisions=cast("Any", self.log),
            sinks=cast("Any", SimpleNamespace(postgres=None)),
            sink_writers=self.writers,
            progress=unused,
            pending=unused,
            listener=cast("Any", self.listener),
            log_queries=unused,
            labels=cast("Any", SimpleNamespace(decided=self._told_of)),
            known_labels=unused,
            quality_labels=unused,
            topics=cast("Any", SimpleNamespace(ids=self.topic_ids, partitions=SURPLUS + 1)),
            readability=unused,
            watch=self.watch,
            assignment_settled=self._assignment_settled,
        )

    def _told_of(self, partition: int, decisions: Sequence[Decision]) -> None:
        self.told_of += ((partition, each.transaction_id) for each in decisions)

    async def _assignment_settled(self) -> None:
        await self._settled.wait()


def _has(messages: Sequence[Message], events: Events) -> bool:
    # By identity: a record batch that is delivered again has the same offsets.
    return all(any(event.message is each for each in messages) for event in events)


def event_of(records: Sequence[ConsumerRecord], generation: int) -> EventT[Any]:
    """Return the event of a record batch with these records, of one partition."""
    last = records[-1]
    size = sum(len(each.key or b"") + len(each.value or b"") for each in records)
    batch = cast("Any", RecordBatch(records, size))
    message = Message(
        last.topic,
        last.partition,
        last.offset,
        0.0,
        0,
        None,
        None,
        batch,
        None,
        generation_id=generation,
    )
    return cast("EventT[Any]", SimpleNamespace(message=message))


def origin_of(record: ConsumerRecord) -> Position:
    """Return where a record of the topic of transactions was put by its producer."""
    found = Position.decode(dict(record.headers).get(ORIGIN))
    return found or Position(record.topic, record.partition, record.offset)
