"""Whoever has the log comes to the values that decisions were made with, and to no others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from functools import cache
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models.profiles.differences import Pair, Verified
from models.profiles.neighbours import Logged
from models.profiles.verifying import Verifier
from models.records import Decision, Outcome
from models.schema.reading import read
from models.schema.schema import Schema
from tests.support.recounting import Past
from tests.support.remembered import SCHEMA, expected, payment

START = datetime(2026, 5, 1, 11, 58, tzinfo=timezone.utc)
LAG = 5.0

Given = tuple[str, str | None, int]
"""Customer, terminal and cents of a payment."""
Batch = tuple[float, list[Given]]
"""Seconds since the batch before, and what is decided at one moment."""

# Batches of one moment follow each other within milliseconds, or days.
gaps = st.sampled_from([0.001, 0.4, 2.0, 100.0, 299.0, 5_000.0, 90_000.0, 31 * 86_400.0])
payments = st.tuples(
    st.sampled_from(["a", "b", "c"]), st.sampled_from(["x", "y", None]), st.integers(1, 50_000)
)
batches = st.lists(st.tuples(gaps, st.lists(payments, min_size=1, max_size=6)), max_size=12)
labels = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 11)), max_size=12)


@cache
def schema() -> Schema:
    return Schema(read(SCHEMA.encode(), "shop"))


def logged(moment: datetime, partition: int, id_: str, given: Given) -> Logged:
    customer, terminal, cents = given
    transaction = msgspec.convert(
        payment(id_, customer, terminal, cents / 100), schema().transaction
    )
    made = Decision(
        transaction_id=id_,
        decision=Outcome.APPROVE,
        score=0.1,
        reasons=[],
        model_version="m",
        policy_version="p",
        decided_at=moment,
        topic="transactions",
        partition=partition,
        offset=0,
        transaction=transaction,
        profile_version=schema().profile_version,
    )
    return Logged(moment.timestamp(), partition, made)


class World:
    """Decides one payment after the other, each with a recount of all before."""

    def __init__(self) -> None:
        self.log: list[Logged] = []
        self.past: list[Past] = []
        self.told: dict[int, list[tuple[Decision, int]]] = {}
        """Labels that become known before the decision at a place."""
        self.now = START

    def decide(self, partition: int, given: Given) -> Logged:
        made = logged(self.now, partition, f"t{len(self.log)}", given)
        now = Past(int(self.now.timestamp()), *given)
        made = made._replace(
            decision=replace(made.decision, profile=expected(schema(), self.past, now))
        )
        self.log.append(made)
        self.past.append(now)
        return made

    def tell(self, place: int) -> None:
        """Turn round what is known of a transaction."""
        before = self.past[place]
        self.past[place] = before._replace(fraud=1 - before.fraud)
        told = self.told.setdefault(len(self.log), [])
        told.append((self.log[place].decision, 1 - 2 * before.fraud))

    def verified(
        self, cut: Callable[[int, int], int] = lambda begin, end: end, folded: int = 0
    ) -> Verified:
        """What verifying says; `cut` says where a run ends that may go on to the second place."""
        assert schema().remembering
        verifier = Verifier(schema().remembering, schema().profile_version, LAG)  # type: ignore[arg-type]
        edges = sorted({0, folded, *self.told, len(self.log)})
        for begin, end in pairwise(edges):
            if begin in self.told:
                verifier.learn(*zip(*self.told[begin], strict=True))
            while begin < end:
                stop = cut(begin, end)
                take = verifier.fold if begin < folded else verifier.check
                take(self.log[begin:stop])
                begin = stop
        return verifier.result()


def made(batches: Sequence[Batch], labels: Sequence[tuple[int, int]]) -> World:
    world, told = World(), dict[int, list[int]]()
    for place, number in labels:
        told.setdefault(number, []).append(place)
    for number, (gap, batch) in enumerate(batches):
        world.now += timedelta(seconds=gap)
        for place in told.get(number, ()):
            if place < len(world.log):
                world.tell(place)
        for at, each in enumerate(batch):
            world.decide(at * 4 // len(batch), each)
    return world


@settings(max_examples=60)
@given(batches=batches, labels=labels, data=st.data())
def test_what_was_decided_with_a_recount_verifies_however_it_is_read(
    batches: list[Batch],
    labels: list[tuple[int, int]],
    data: st.DataObject,
) -> None:
    world = made(batches, labels)
    folded = data.draw(st.integers(0, len(world.log)))
    found = world.verified(lambda begin, end: data.draw(st.integers(begin + 1, end)), folded)
    assert (found.differing, found.values, found.examples) == (0, {}, [])
    assert (found.earlier, found.compared) == (folded, len(world.log) - folded)
    if found.compared:
        assert found.first == world.log[folded].decision.decided_at
        assert found.last == world.log[-1].decision.decided_at


@settings(max_examples=30)
@given(batches=batches.filter(len), labels=labels, data=st.data())
def test_a_value_that_was_another_is_told_with_what_the_log_says(
    batches: list[Batch],
    labels: list[tuple[int, int]],
    data: st.DataObject,
) -> None:
    world = made(batches, labels)
    place = data.draw(st.integers(0, len(world.log) - 1))
    logged = world.log[place]
    right = logged.decision.profile
    name = data.draw(st.sampled_from(schema().remembering.names))  # type: ignore[union-attr]
    wrong = None if name in right and data.draw(st.booleans()) else right.get(name, 0.0) + 0.5
    stored = {**right, name: wrong}
    profile = {key: each for key, each in stored.items() if each is not None}
    world.log[place] = logged._replace(decision=replace(logged.decision, profile=profile))
    found = world.verified()
    (example,) = found.examples
    assert (found.differing, found.equal) == (1, len(world.log) - 1)
    assert example.transaction_id == logged.decision.transaction_id
    # Sums of cents are recounted by another formula, which may differ in the last bit.
    computed: Any = None if name not in right else pytest.approx(right[name], rel=1e-12)
    assert example.values == {name: Pair(wrong, computed)}
    assert found.values[name].differing == 1
    largest = 0.5 if wrong is not None and name in right else 0.0
    assert found.values[name].largest == pytest.approx(largest, rel=1e-12)
    assert found.values[name].unknown == (wrong is None or name not in right)


def test_sums_that_were_rounded_otherwise_are_alike() -> None:
    world = World()
    world.decide(0, ("a", None, 10))
    made = world.decide(0, ("a", None, 20))
    profile = {**made.decision.profile, "spent": 0.1 + 1e-12}
    world.log[1] = made._replace(decision=replace(made.decision, profile=profile))
    assert world.verified().differing == 0


def test_decisions_by_other_profiles_count_and_are_not_compared() -> None:
    world = World()
    made = world.decide(0, ("a", None, 10))
    other = replace(made.decision, profile={"sent": 7.0}, profile_version="other")
    world.log[0] = made._replace(decision=other)
    world.decide(0, ("a", None, 20))
    found = world.verified()
    assert (found.compared, found.differing, found.of_other_profiles) == (1, 0, 1)


@pytest.mark.parametrize("lag", [0.0, 5.5])
def test_a_decision_that_says_that_profiles_were_behind_is_explained(lag: float) -> None:
    world = World()
    made = world.decide(0, ("a", None, 10))
    other = replace(made.decision, profile={}, profile_lag=lag)
    world.log[0] = made._replace(decision=other)
    found = world.verified()
    assert (found.differing, found.explained) == (1, int(lag > 0))


def test_the_first_unexplained_ones_are_shown_before_those_that_are_explained() -> None:
    world = World()
    for number in range(60):
        made = world.decide(0, ("a", None, 10))
        world.now += timedelta(seconds=1)
        changed = replace(made.decision, profile={}, profile_lag=float(number % 2))
        world.log[-1] = made._replace(decision=changed)
    found = world.verified()
    assert (found.differing, found.explained, found.unexplained) == (60, 30, 30)
    shown = [each.transaction_id for each in found.examples]
    assert shown == [f"t{number}" for number in (*range(0, 20, 2), *range(1, 20, 2))]
