"""A worker whose parts are doubles, and its HTTP application behind a real server.

Nothing here opens a connection but to this server. `parts` are what `FraudWorker.parts` returns;
the tables are in memory. What is done in an order that matters is noted in `events`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Generic, TypeVar, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from faust.tables.manager import TableManager
from faust.types import TP
from faust.web.drivers.aiohttp import Web
from msgspec import json

import tables as tables_package
from fraudapp import metrics
from fraudapp.application import Application, build
from fraudapp.control.fitting import last_fitting
from fraudapp.control.model_shelf import ModelShelf
from fraudapp.decisions.catch_ups import Unread
from fraudapp.decisions.recent import RecentDecisions, Unknowable
from fraudapp.decisions.waiters import DecisionWaiters
from fraudapp.kafka.offsets import End
from fraudapp.kafka.producer import NewRecord
from fraudapp.settings import Settings, load
from fraudapp.takeover import Assignment
from fraudapp.worker import FraudWorker, Started
from models.control.chain import Candidate
from models.control.records import read
from models.control.state import ControlState
from models.counts import Counts
from models.labels.records import Label, Labelled
from models.policies.in_force import of_thresholds
from models.policy import Policy
from models.quality.labelled import LabelledWeek
from models.records import Decision, Transaction
from models.schema.schema import PAYSIM
from models.watch.cells import Days
from models.watch.expected import Expected
from tables import Tables
from tables.heartbeats import Heartbeat
from tables.quality import PartitionCells
from tests.support.scoring import Named
from tests.support.tiny_model import none_archived
from web.context import Context
from web.control.metrics import policy
from web.quality_metrics import quality
from web.views import View
from web.watch_metrics import watch

GENERATION = 7
PARTITIONS = 4
AT = 1_772_600_767_890
"""When records of the control log are written, milliseconds since 1970."""
PATIENCE = 30.0
"""Seconds that a test may wait for a condition."""
Client = TestClient[web.Request, web.Application]
Events = list[tuple[Any, ...]]
Value = TypeVar("Value")


class Index:
    """The decision index of one partition."""

    def __init__(self) -> None:
        self.decisions: dict[str, Decision] = {}
        self.next_offset = 0
        self.failure: Exception | None = None

    def add(self, decision: Decision) -> None:
        self.decisions[decision.transaction_id] = decision
        self.next_offset += 1

    def find(self, transaction_ids: Iterable[str]) -> dict[str, Decision]:
        if self.failure:
            raise self.failure
        return {each: self.decisions[each] for each in transaction_ids if each in self.decisions}


class Log:
    """The decision log: an index of each partition that was read in, and what is asked of it."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self.indexes: dict[int, Index] = {}
        self.being_read: dict[int, Unread] = {}
        self.why: dict[int, str] = {}
        self.doubts: list[int] = []
        self.failures: list[Exception] = []
        self.gates: dict[int, asyncio.Event] = {}
        """Of partitions whose index is not ready before its gate is open."""

    @property
    def next_offsets(self) -> dict[int, int]:
        return {partition: index.next_offset for partition, index in self.indexes.items()}

    def index(self, partition: int) -> Index | None:
        return self.indexes.get(partition)

    def is_ready(self, partition: int, generation: int) -> bool:
        return partition in self.indexes

    async def ready(self, partition: int, generation: int) -> Index:
        if gate := self.gates.get(partition):
            await gate.wait()
        return self.indexes.setdefault(partition, Index())

    def unread(self, partition: int) -> Unread | None:
        return self.being_read.get(partition)

    def trouble(self, partition: int) -> str | None:
        return self.why.get(partition)

    def recheck(self, partition: int) -> None:
        self.doubts.append(partition)

    def repair(self, exc: Exception) -> None:
        self.failures.append(exc)

    def flush_if_idle(self) -> None:
        self._events.append(("flush_if_idle",))


class Listener:
    """What was heard of the other workers."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self.partitions: dict[int, RecentDecisions] = {}
        self.failing: list[str] = []
        self._changed = asyncio.Event()

    def recent(self, partition: int) -> RecentDecisions:
        if partition not in self.partitions:
            raise Unknowable("a partition of the log of decisions cannot be read; try again")
        return self.partitions[partition]

    async def wait_for_change(self) -> None:
        await self._changed.wait()

    def notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def troubles(self) -> list[str]:
        return self.failing

    def on_assigned(self, next_offsets: Mapping[int, int], own: Sequence[int]) -> None:
        self._events.append(("on_assigned", dict(next_offsets), list(own)))


class LogQueries:
    """What the broker answers about the log."""

    def __init__(self) -> None:
        self.ends: dict[int, End] = {}
        self.records: dict[tuple[int, int], Decision] = {}
        self.failure: Exception | None = None
        self.gate = open_gate()

    async def end(self, partition: int) -> End:
        await self.gate.wait()
        if self.failure:
            raise self.failure
        return self.ends.get(partition, End(0, 0))

    async def decision(self, partition: int, offset: int) -> Decision | None:
        await self.gate.wait()
        return self.records.get((partition, offset))


class Sink:
    """A sink that is asked for decisions, and answers while its gate is open."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.decisions: dict[str, Decision] = {}
        self.asked: list[str] = []
        self.failure: Exception | None = None
        self.gate = open_gate()

    async def get(self, transaction_id: str) -> Decision | None:
        self.asked.append(transaction_id)
        await self.gate.wait()
        if self.failure:
            raise self.failure
        return self.decisions.get(transaction_id)


class SinkWriter:
    """How far one sink has come."""

    def __init__(self, sink: Sink, events: Events) -> None:
        self.sink = sink
        self.lag = 0
        self.failure: str | None = None
        self.offsets: dict[int, int] = {}
        self.failing: list[str] = []
        self.finding_progress = f"asking how far {sink.name} has come"
        self._events = events

    def written(self, partition: int) -> int | None:
        return self.offsets.get(partition)

    def troubles(self) -> list[str]:
        return self.failing

    async def assign(self, partitions: Sequence[int]) -> None:
        self._events.append(("assign", self.sink.name, list(partitions)))


class Pending:
    """What was noted in Redis as accepted."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self.known: set[str] = set()
        self.asked: list[str] = []
        self.failure: Exception | None = None

    async def note(self, ids: list[str]) -> None:
        self._events.append(("note", *ids))

    async def knows(self, transaction_id: str) -> bool:
        self.asked.append(transaction_id)
        if self.failure:
            raise self.failure
        return transaction_id in self.known


class Producer:
    """Faust's producer: takes transactions and labels, or fails; transactions can be decided."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self.sent: list[Transaction] = []
        self.labels: list[Label] = []
        self.failure: Exception | None = None
        self.silent = False
        """Whether the broker never says that it has what was sent."""
        self.decided_by: Any = None
        """Called with each transaction once it is sent."""

    async def send(self, topic: str, key: bytes, value: bytes, *_: object) -> asyncio.Future[None]:
        self._events.append(("send", topic, key.decode()))
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.failure:
            answer.set_exception(self.failure)
        elif not self.silent:
            answer.set_result(None)
            self._take(topic, value)
        return answer

    def _take(self, topic: str, value: bytes) -> None:
        if topic == "labels":
            self.labels.append(json.decode(value, type=Label))
            return
        transaction = json.decode(value, type=PAYSIM.transaction)
        self.sent.append(transaction)
        if self.decided_by:
            self.decided_by(transaction)


class Consumer:
    """Faust's consumer: where partitions end, as far as it knows."""

    def __init__(self) -> None:
        self.ends: dict[int, int | None] = {}
        self.failure: Exception | None = None
        self.failing: list[str] = []
        self.topic = "transactions"
        self.assigned: list[TP] | None = None

    def outstanding(self, partition: TP) -> int | None:
        assert partition.topic == self.topic
        if self.failure:
            raise self.failure
        return self.ends[partition.partition]

    def troubles(self) -> list[str]:
        return self.failing

    def assignment(self) -> list[TP]:
        if self.failure:
            raise self.failure
        return self.assigned or []


class MemoryTable(Generic[Value]):
    """As much of a `ByPartition` as is asked for, without Kafka and disk."""

    def __init__(self, events: Events | None = None) -> None:
        self.values: dict[int, Value] = {}
        self.events: Events = [] if events is None else events
        self.recovered = True
        self.trouble: str | None = None
        self.failing: list[str] = []

    def get(self, partition: int) -> Value | None:
        return self.values.get(partition)

    def items(self) -> Iterator[tuple[int, Value]]:
        yield from self.values.items()

    def write(self, partition: int, value: Value) -> None:
        self.values[partition] = value
        self.events.append(("write", partition, value))

    async def delivered(self, partition: int) -> None:
        self.events.append(("delivered", partition))

    def troubles(self) -> list[str]:
        return self.failing


class Control:
    """The control log, without a topic: what is appended is in force at once."""

    def __init__(self, model_version: str) -> None:
        self.known = ControlState()
        self.in_force = of_thresholds(Policy(), PAYSIM)
        self.candidate: Candidate | None = None
        self.told: list[str] = []
        self.gate = open_gate()
        """As long as it is closed, nothing can be read back."""
        self.others: list[NewRecord] = []
        """Records that others have written just before the next one of this worker."""
        self.models = ModelShelf(Named(model_version), PAYSIM, self.known.models, none_archived())

    async def append(
        self, topic: str, partition: int, records: Iterable[NewRecord], what: str
    ) -> list[int]:
        """Be the producer, too; returns offsets."""
        self.take(self.others)
        self.others = []
        return self.take(records)

    def take(self, records: Iterable[NewRecord]) -> list[int]:
        """Put records in force; returns their offsets."""
        offsets = []
        for key, value, headers in records:
            offsets.append(self.known.next_offset)
            self.known.apply(read(offsets[-1], AT, key, value, headers))
        candidate, ruling, problems = last_fitting(self.known.chain, PAYSIM, self.models)
        self.candidate = candidate
        self.told += problems
        if candidate and ruling:
            chosen = self.models.chosen(ruling.policy)
            self.in_force = self.known.in_force(candidate, ruling, *chosen)
        return offsets

    async def end(self) -> int:
        return self.known.next_offset

    async def read_to(self, offset: int) -> None:
        await self.gate.wait()

    def notes(self) -> list[str]:
        return self.told

    def troubles(self) -> list[str]:
        return []


class Labels:
    """Where labels are joined."""

    def __init__(self) -> None:
        self.assigned: list[tuple[int, list[int]]] = []
        """Generation and partitions of each assignment."""

    async def assign(self, generation: int, partitions: Sequence[int]) -> None:
        self.assigned.append((generation, list(partitions)))

    def troubles(self) -> list[str]:
        return []


class KnownLabels:
    """The labels that are known, and how many records were not read yet."""

    def __init__(self) -> None:
        self.labelled: dict[str, Labelled] = {}
        self.behind: int | None = 0

    def troubles(self) -> list[str]:
        return []

    def get(self, transaction_id: str) -> Labelled | None:
        return self.labelled.get(transaction_id)

    def lag(self) -> int | None:
        return self.behind


class Parts:
    """The doubles of what a worker has once it has started."""

    def __init__(self) -> None:
        self.events: Events = []
        self.scorer = SimpleNamespace(version="model-of-a-test", matrix=PAYSIM.features.matrix)
        self.control = Control(self.scorer.version)
        self.log = Log(self.events)
        self.listener = Listener(self.events)
        self.queries = LogQueries()
        self.labels = Labels()
        self.known_labels = KnownLabels()
        self.quality_labels: dict[tuple[int, int], LabelledWeek] = {}
        """Cells of labels by week and partition."""
        self.expected: dict[str, Expected] = {}
        """What is expected of the rows of a model, by its version."""
        self.redis, self.postgres, self.archive = map(Sink, ("redis", "postgres", "archive"))
        self.writers = [
            SinkWriter(each, self.events) for each in (self.redis, self.postgres, self.archive)
        ]
        self.pending = Pending(self.events)
        self.topics = SimpleNamespace(problem=None)
        self.producer = failing_in(append=self.control.append)
        self.progress = failing_in()
        self.readability = failing_in()
        for partition in range(PARTITIONS):
            self.listener.partitions[partition] = RecentDecisions(0, 100)

    def started(self, waiters: DecisionWaiters) -> Started:
        """Return them in the one form that the worker knows."""
        sinks = SimpleNamespace(redis=self.redis, postgres=self.postgres, archive=self.archive)
        doubles: dict[str, Any] = {
            "scorer": self.scorer,
            "control": self.control,
            "waiters": waiters,
            "producer": self.producer,
            "decisions": self.log,
            "sinks": sinks,
            "sink_writers": self.writers,
            "progress": self.progress,
            "pending": self.pending,
            "listener": self.listener,
            "log_queries": self.queries,
            "labels": self.labels,
            "known_labels": self.known_labels,
            "quality_labels": SimpleNamespace(
                cells=lambda now, weeks: self.quality_labels, troubles=list, has_caught_up=True
            ),
            "topics": self.topics,
            "readability": self.readability,
            "watch": SimpleNamespace(expected=self.expected.get),
            "assignment_settled": None,
        }
        return Started(**doubles)


def failing_in(**more: Any) -> Any:
    """A part that is asked for its troubles, which `failing` are, and little more."""
    part = SimpleNamespace(failing=[], **more)
    part.troubles = lambda: part.failing
    return part


def open_gate() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


class Bench:
    """A worker on doubles, without the rest of the application."""

    def __init__(self, worker: FraudWorker) -> None:
        self.worker = worker
        self.parts = Parts()
        self.app = cast(Any, worker.app)
        self.producer = Producer(self.parts.events)
        self.consumer = Consumer()
        self.app.producer = self.producer
        self.app.consumer = self.consumer
        self.app.consumer_generation_id = GENERATION
        self.consumer.topic = worker.settings.transactions_topic

    def start(self) -> None:
        """From now on the worker has its parts."""
        self.worker._parts = self.parts.started(self.worker.waiters)

    def own(self, *partitions: int) -> None:
        """Give these partitions to the worker, with their indexes."""
        for partition in partitions:
            self.parts.log.indexes.setdefault(partition, Index())
        self.worker.takeover.assigned = partitions
        self.worker.takeover.current = Assignment(GENERATION, list(partitions))

    def decide(self, decision: Decision) -> None:
        """Put a decision where it is if this worker has made it: into the index."""
        index = self.parts.log.indexes[self.worker.key_partition(decision.transaction_id)]
        index.add(decision)
        self.worker.waiters.notify([decision])


class AppDouble:
    """As much of Faust's app as a worker asks for."""

    def __init__(self) -> None:
        self.rebalancing = False
        self.in_recovery = False
        self.consumer_generation_id = GENERATION
        self.crashed: list[BaseException] = []
        self.producer: Any = None
        self.consumer: Any = None

    def crash(self, exc: BaseException) -> str:
        self.crashed.append(exc)
        return "crashing"

    def add_future(self, crashing: str) -> None:
        assert crashing == "crashing"


def bench(**environ: str) -> Bench:
    """Return a worker that has started with doubles, and owns all partitions."""
    settings = load({"FRAUD_TOPIC_PARTITIONS": str(PARTITIONS), **environ})
    made = Bench(FraudWorker(settings, cast(Any, AppDouble())))
    made.start()
    made.own(*range(PARTITIONS))
    return made


class ViewBench(Bench):
    """An application as `build` returns it, served on doubles."""

    def __init__(self, application: Application, tables: MemoryTables) -> None:
        super().__init__(application.worker)
        self.application = application
        self.tables = tables

    def become_ready(self) -> None:
        """Let every check of `/readyz` pass."""
        self.start()
        self.own(*range(PARTITIONS))
        self.app._assignment = {TP(self.consumer.topic, each) for each in range(PARTITIONS)}
        cast(TableManager, self.app.tables).recovery.completed.set()

    @property
    def context(self) -> Context:
        """What all views have in common."""
        return cast(View, self.app.web.views["/stats"]).context

    @asynccontextmanager
    async def served(self) -> AsyncIterator[Client]:
        """Serve it at a port of this machine, on the connections that it is served on."""
        driver = cast(Web, self.app.web)
        driver.init_server()
        async with TestClient(_Server(driver)) as client:
            yield client


class MemoryTables(SimpleNamespace):
    """The tables of a worker, in memory."""

    counts: MemoryTable[Counts]
    heartbeats: MemoryTable[Heartbeat]
    quality: MemoryTable[PartitionCells]
    watch: MemoryTable[Days]

    def __init__(self) -> None:
        tables = {name: MemoryTable[Any]() for name in ("counts", "heartbeats", "quality", "watch")}
        super().__init__(**tables)

    def as_tables(self) -> Tables:
        return Tables(**{name: cast(Any, each) for name, each in vars(self).items()})


class _Server(TestServer):
    """aiohttp's, with the runner of the application, so with the limits of its connections."""

    def __init__(self, driver: Web) -> None:
        super().__init__(driver.web_app)
        self._own = driver._runner

    async def _make_runner(self, **_: Any) -> web.AppRunner:
        return self._own


def view_bench(folder: Path, monkeypatch: pytest.MonkeyPatch, **environ: str) -> ViewBench:
    """Build an application whose tables are in memory; nothing of it is started."""
    settings = settings_of(folder, **environ)
    tables = MemoryTables()
    monkeypatch.setattr(tables_package, "register", lambda app, settings: tables.as_tables())
    monkeypatch.setattr(metrics.worker, "source", metrics.worker.source)  # which `build` sets
    monkeypatch.setattr(policy, "source", policy.source)
    monkeypatch.setattr(quality, "source", quality.source)
    monkeypatch.setattr(watch, "source", watch.source)
    return ViewBench(build(settings), tables)


def settings_of(folder: Path, **environ: str) -> Settings:
    """Return settings that need no files but those in a folder."""
    partitions = {"FRAUD_TOPIC_PARTITIONS": str(PARTITIONS)}
    return load({"FRAUD_DATA_DIR": str(folder), **partitions, **environ})
