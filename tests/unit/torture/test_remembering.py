"""The program and the checker of the torture, which share no code, remember alike."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.decisions.batch import encode
from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.profiles.store import ProfileStore, State
from models.profiles.labels import due
from models.profiles.memory import ProfileMemory
from models.records import Decision
from models.schema.reading import read
from models.schema.schema import Schema
from tests.support.decisions import decision
from tests.support.messages import transaction
from tests.torture.cluster import LABEL_DELAY
from tests.torture.disks import profiles_on_disk
from tests.torture.reading import Record
from tests.torture.remembering import Remembering
from tests.torture.values import SIDES, schema

SCHEMA: Final = Schema(read(schema().encode(), "paysim"))
NOW: Final = datetime(2026, 5, 6, 23, 59, 40, 123456, tzinfo=timezone.utc)
PARTITIONS: Final = 2
assert SCHEMA.remembering is not None
REMEMBERING: Final = SCHEMA.remembering


class Worker:
    """Decides with what the program remembers, and notes what is in the topics then."""

    def __init__(self) -> None:
        self.log: list[Record] = []
        self.labelled: list[Record] = []
        self.memory = ProfileMemory(REMEMBERING, lambda keys: [None] * len(keys), 1 << 40)
        self._decided: list[Decision] = []
        self._waiting: list[tuple[float, Decision, int]] = []

    def decide(
        self, now: datetime, accounts: Iterable[tuple[str, str]], *, unseen: bool = False
    ) -> None:
        """Decide transactions between accounts; those that stay `unseen` are not remembered."""
        self._learn(now)
        sent = [
            SCHEMA.parser.parse(json.dumps(self._sent(number, *each)).encode())
            for number, each in enumerate(accounts)
        ]
        second = int(now.timestamp())
        events = REMEMBERING.events(sent, second)
        rows = self.memory.read(events).tolist()
        self.memory.release(events) if unseen else self.memory.settle(events)
        for number, (transaction_, row) in enumerate(zip(sent, rows, strict=True)):
            made = decision(
                transaction_.transaction_id,
                transaction=transaction_,
                decided_at=now,
                profile=REMEMBERING.known(row),
                partition=number * PARTITIONS // len(sent),
            )
            self._decided.append(made)
            self._write(made, now + timedelta(milliseconds=20))

    def label(self, random_: random.Random, now: datetime, label: int) -> None:
        """Label a decision anew."""
        made = random_.choice(self._decided)
        version, written_at = len(self.labelled), int(now.timestamp() * 1_000)
        value = {"version": version, "label": label, "decision": json.loads(encode(made))}
        record = Record("l", 0, version, b"", json.dumps(value).encode(), (), written_at)
        self.labelled.append(record)
        self._waiting.append((due(written_at / 1_000, LABEL_DELAY), made, label))

    def _learn(self, now: datetime) -> None:
        labels: dict[str, int] = getattr(self, "_labels", {})
        for each in [each for each in self._waiting if each[0] <= int(now.timestamp())]:
            self._waiting.remove(each)
            _, made, label = each
            change = label - labels.get(made.transaction_id, 0)
            labels[made.transaction_id] = label
            seconds = [int(made.decided_at.timestamp())]
            self.memory.add_frauds(REMEMBERING.events([made.transaction], seconds), [change])
        self._labels = labels

    def learn_all(self) -> None:
        """Let all labels be known."""
        self._learn(NOW + timedelta(days=900))

    def _sent(self, number: int, sender: str, receiver: str) -> dict[str, Any]:
        id_ = f"t{len(self._decided) + number}"
        return transaction(id_, nameOrig=sender, nameDest=receiver)

    def _write(self, made: Decision, now: datetime) -> None:
        offset, written_at = len(self.log), int(now.timestamp() * 1_000)
        value = encode(made)
        self.log.append(Record("d", made.partition, offset, b"", value, (), written_at))


def worked(random_: random.Random) -> Worker:
    worker, now = Worker(), NOW
    for _ in range(random_.randint(2, 25)):
        now += timedelta(seconds=random_.choice([0.1, 3, 40, 400, 5_000]))
        pairs = [(f"C{random_.randint(1, 3)}", f"C{random_.randint(1, 4)}") for _ in range(3)]
        worker.decide(now, pairs)
        for _ in range(random_.randint(0, 2)):
            worker.label(random_, now, random_.randint(0, 1))
    return worker


@given(st.integers(0, 2**32))
def test_both_remember_alike(seed: int) -> None:
    worker = worked(random.Random(seed))
    recount = Remembering(worker.log, worker.labelled)
    assert (recount.wrong, dict(recount.explained)) == ([], {})
    assert recount.compared == len(worker.log)


def test_both_come_to_the_same_profiles_on_disk(tmp_path: Path) -> None:
    worker = worked(random.Random(4))
    worker.learn_all()
    made_of = [LogIdentity("a", "d", -1), LogIdentity("a", "l", -1)]
    store = ProfileStore(tmp_path, SCHEMA.profile_version, made_of)
    store.write(worker.memory.changed, {}, State(SCHEMA.profile_version, {}, {}))
    store.close()
    there = dict(profiles_on_disk(tmp_path))
    assert there == Remembering(worker.log, worker.labelled).final()
    assert {side for side, _ in there} == {*SIDES}


def changed(record: Record, **profile: float | None) -> Record:
    made = json.loads(record.value or b"")
    known: Mapping[str, float | None] = made["profile"] | profile
    made["profile"] = {name: value for name, value in known.items() if value is not None}
    return record._replace(value=json.dumps(made).encode())


@pytest.mark.parametrize(
    "wrong",
    [
        {"sent_5m": 2.0},
        {"sent_1h": None},
        {"spent_24h": 0.01},
        {"payees": 9.0},
        {"waited": 0.0},
        {"cheated": 0.5},
        {"risk": None},
        {"frauds": 1.0},
    ],
)
def test_a_profile_that_nothing_explains_is_told(wrong: dict[str, float | None]) -> None:
    worker = Worker()
    for minute in range(4):
        worker.decide(NOW + timedelta(minutes=minute), [("C1", "C2")])
    assert not Remembering(worker.log, []).wrong
    log = [*worker.log[:-1], changed(worker.log[-1], **wrong)]
    (told,) = Remembering(log, []).wrong
    assert told.startswith("t3: of C")


def test_what_another_worker_has_decided_just_before_need_not_be_known() -> None:
    worker = Worker()
    worker.decide(NOW, [("C1", "C2")])
    worker.decide(NOW + timedelta(seconds=60), [("C1", "C2"), ("C9", "C8")], unseen=True)
    worker.decide(NOW + timedelta(seconds=63), [("C9", "C8"), ("C1", "C2")])
    recount = Remembering(worker.log, [])
    assert recount.wrong == []
    assert recount.explained["just before"] == 2
    worker.decide(NOW + timedelta(seconds=90), [("C1", "C2")])
    assert len(Remembering(worker.log, []).wrong) == 1


def test_what_one_with_another_clock_has_decided_just_before_need_not_be_known() -> None:
    """Windows of a day tell nothing of it, so that many sets come to the same counts and sums."""
    worker = Worker()
    behind = NOW - timedelta(hours=26)
    worker.decide(behind, [("C1", f"C{number}") for number in range(100, 140)], unseen=True)
    written_at = int(NOW.timestamp() * 1_000)
    worker.log = [each._replace(written_at=written_at) for each in worker.log]
    worker.decide(NOW + timedelta(seconds=0.2), [("C1", "C2")])
    checker = Remembering(worker.log, [])
    assert checker.wrong == []
    assert checker.explained["just before"] == 1


def test_what_was_decided_again_after_a_crash_may_have_been_seen() -> None:
    worker = Worker()
    worker.decide(NOW, [("C1", "C2")])
    worker.decide(NOW + timedelta(seconds=20), [("C1", "C2"), ("C1", "C2")])
    first, again, seeing = worker.log
    made = json.loads(again.value or b"")
    made |= {"decided_at": (NOW + timedelta(seconds=50)).isoformat(), "profile": {}}
    later = again._replace(value=json.dumps(made).encode(), written_at=again.written_at + 30_000)
    recount = Remembering([first, later, seeing], [])
    assert recount.explained["in vain"] == 1
