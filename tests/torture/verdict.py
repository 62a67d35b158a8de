"""What ought to be there, read from the input topic itself, against what is there."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final

from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError

from fraudapp.publishing import ORIGIN
from models.parsing import InvalidTransaction, parse
from models.records import Transaction
from tests.e2e import kept
from tests.e2e.archived import compare, logged
from tests.torture.cluster import Cluster
from tests.torture.load import Load

log = logging.getLogger(__name__)

QUIET: Final = 300.0
"""Seconds that everything may take to settle once all is healed."""
SHOWN: Final = 5

Decisions = Mapping[str, Mapping[str, Any]]
Source = tuple[int, int]
"""Partition and offset of an input."""


class Expected:
    """What a correct system makes of the input topic."""

    def __init__(self, inputs: Iterable[ConsumerRecord]) -> None:
        self.payloads: dict[str, list[Transaction]] = {}
        """Valid transactions under each id."""
        self.valid: list[tuple[Source, Transaction]] = []
        self.invalid: dict[Source, bytes | None] = {}
        for each in inputs:
            if any(name == ORIGIN for name, _ in each.headers):
                continue  # a copy, sent on to its home by a worker
            source = (each.partition, each.offset)
            try:
                transaction = parse(each.value)
            except InvalidTransaction:
                self.invalid[source] = each.value
                continue
            self.valid.append((source, transaction))
            known = self.payloads.setdefault(transaction.transaction_id, [])
            if transaction not in known:
                known.append(transaction)

    def letters(self, decided: Mapping[str, Transaction]) -> set[Source]:
        """Inputs that must be dead letters, given which payload was decided under each id."""
        conflicts = {
            source
            for source, transaction in self.valid
            if decided.get(transaction.transaction_id, transaction) != transaction
        }
        return conflicts | set(self.invalid)


class Verdict:
    """Everything that was found wrong; empty lists are what everybody hopes for."""

    def __init__(self) -> None:
        self.lost: list[str] = []
        self.doubled: list[str] = []
        self.miscounted: list[str] = []
        self.events = self.kills = self.faults = 0

    def __str__(self) -> str:
        return (
            f"lost={len(self.lost)} doubled={len(self.doubled)} "
            f"miscounted={len(self.miscounted)} events={self.events} "
            f"kills={self.kills} faults={self.faults}"
        )

    @property
    def held(self) -> bool:
        """Whether all promises held."""
        return not (self.lost or self.doubled or self.miscounted)

    def complain(self) -> None:
        """Log some of what was found."""
        for name in ("lost", "doubled", "miscounted"):
            found = getattr(self, name)
            for each in found[:SHOWN]:
                log.error("%s: %s", name, each)
            if len(found) > SHOWN:
                log.error("%s: and %d more", name, len(found) - SHOWN)


async def settled(cluster: Cluster) -> None:
    """Return when all inputs are dealt with and all stores have caught up, or time is up."""
    deadline = asyncio.get_running_loop().time() + QUIET
    while asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(1)
        # The last fault may have been on its way when all was healed.
        await asyncio.to_thread(cluster.heal)
        try:
            inputs = await kept.in_topic(cluster.environment, "transactions")
        except KafkaError:
            continue
        ends: dict[int, int] = {}
        for each in inputs:
            ends[each.partition] = max(ends.get(each.partition, -1), each.offset)
        states = [await asyncio.to_thread(_state, worker, ends) for worker in cluster.workers]
        if all(states):
            return
    log.error("not settled after %.0f s: %s", QUIET, [w.get("/healthz") for w in cluster.workers])


def _state(worker: Any, ends: Mapping[int, int]) -> bool:
    if worker.get("/readyz")[0] != 200:
        return False
    _, health = worker.get("/healthz")
    _, stats = worker.get("/stats")
    if not (health and stats):
        return False
    up_to_date = all(
        stats["partitions"].get(str(number), -1) >= end for number, end in ends.items()
    )
    return up_to_date and not any(store["behind"] for store in health["stores"].values())


async def judge(cluster: Cluster, load: Load, purged_before: date | None = None) -> Verdict:
    """Compare every store, every answer and every count with what the input topic demands.

    Of UTC days before `purged_before` the archive need have nothing.
    """
    environment = cluster.environment
    verdict = Verdict()
    inputs = await kept.in_topic(environment, "transactions")
    expected = Expected(inputs)
    verdict.events = len(inputs)
    verdict.lost += [
        f"{id_} was confirmed by the broker and is not in the topic"
        for id_ in load.confirmed - expected.payloads.keys()
    ]
    log_of_decisions = logged(await kept.in_topic(environment, "decisions"))
    first = _first_decisions(log_of_decisions)
    stores = {
        "postgres": await kept.in_postgres(environment),
        "redis": await asyncio.to_thread(kept.in_redis, environment),
    }
    archive = compare(await kept.in_s3(environment), log_of_decisions, purged_before)
    verdict.lost += [f"the archive does not have {id_} as it was decided" for id_ in archive.lost]
    verdict.doubled += [f"the archive has a line of {id_} of its own" for id_ in archive.foreign]
    _compare_log(first, expected, verdict)
    for name, store in stores.items():
        _compare_store(name, store, first, verdict)
    _compare_told(load, first, verdict)
    decided = {id_: parse(json.dumps(each["transaction"]).encode()) for id_, each in first.items()}
    letters = await kept.in_topic(environment, "dead_letters")
    _compare_letters(letters, expected, decided, verdict)
    for worker in cluster.workers:
        counted = worker.stats()["decisions"]
        if counted != kept.outcomes(first):
            verdict.miscounted.append(f"{worker.url} {counted}, expected {kept.outcomes(first)}")
    return verdict


def _first_decisions(log_of_decisions: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The decision that counts under each id: the first in the log."""
    first: dict[str, dict[str, Any]] = {}
    for each in log_of_decisions:
        first.setdefault(each["transaction_id"], each)
    return first


def _compare_log(first: Decisions, expected: Expected, verdict: Verdict) -> None:
    verdict.lost += [f"{id_} was not decided" for id_ in expected.payloads.keys() - first.keys()]
    verdict.doubled += [f"{id_} was decided unasked" for id_ in first.keys() - expected.payloads]
    for id_, decision in first.items():
        transaction = parse(json.dumps(decision["transaction"]).encode())
        if transaction not in expected.payloads.get(id_, []):
            verdict.doubled.append(f"{id_} was decided with a payload nobody sent")


def _compare_store(name: str, store: Decisions, first: Decisions, verdict: Verdict) -> None:
    verdict.lost += [f"{name} does not have {id_}" for id_ in first.keys() - store.keys()]
    verdict.doubled += [f"{name} has {id_}, undecided" for id_ in store.keys() - first.keys()]
    for id_ in first.keys() & store.keys():
        here, there = store[id_], first[id_]
        if here["decision"] != there["decision"] or here["score"] != there["score"]:
            verdict.doubled.append(f"{name} has another decision on {id_}")


def _compare_told(load: Load, first: Decisions, verdict: Verdict) -> None:
    verdict.doubled += [f"callers were told two things of {id_}" for id_ in load.changed]
    for id_, decision in load.told.items():
        if first.get(id_) != decision:
            verdict.doubled.append(f"a caller was told what was not decided of {id_}")


def _compare_letters(
    letters: Iterable[ConsumerRecord],
    expected: Expected,
    decided: Mapping[str, Transaction],
    verdict: Verdict,
) -> None:
    found: dict[Source, bytes | None] = {}
    for each in letters:
        headers = {name: value.decode() for name, value in each.headers}
        found[int(headers["partition"]), int(headers["offset"])] = each.value
    wanted = expected.letters(decided)
    verdict.lost += [f"input {source} is no dead letter" for source in wanted - found.keys()]
    verdict.doubled += [
        f"input {source} is a dead letter unduly" for source in found.keys() - wanted
    ]
    verdict.lost += [
        f"dead letter of {source} has other bytes"
        for source in wanted & found.keys() & expected.invalid.keys()
        if (found[source] or b"") != (expected.invalid[source] or b"")
    ]
