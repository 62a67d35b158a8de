"""Whoever has the log comes to the values that decisions were made with, and to no others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models.profiles import judging
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
                second = self.log[begin].moment // 1 if begin < len(self.log) else 0.0
                decisions, changes = zip(*self.told[begin], strict=True)
                verifier.learn(decisions, changes, second)
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


class Elsewhere(NamedTuple):
    """What another worker knew when it decided."""

    partition: int
    given: Given
    gap: float
    """Seconds since the decision before, by a clock that is right."""
    behind: float
    """Seconds by which it is behind the log of other workers."""


decided = st.builds(
    Elsewhere,
    st.integers(0, 3),
    payments,
    st.sampled_from([0.0, 0.001, 0.7, 1.9, 40.0]),
    st.sampled_from([0.0, 0.01, 1.0, 2.5]),
)
runs = st.lists(decided, min_size=1, max_size=25)


def of_two_workers(run: Sequence[Elsewhere], skew: float, late: float = 0.0) -> list[Logged]:
    """The log of two workers: the second has two partitions, and a clock that is ahead.

    The second one has been behind, as it says, by what others have decided in the last seconds.
    """
    made = list[tuple[float, int, Logged, Past]]()
    true = START.timestamp()
    for number, each in enumerate(run):
        true += each.gap
        worker = each.partition // 2
        stamped = datetime.fromtimestamp(true + worker * skew, timezone.utc)
        lag = late if worker else 0.0
        known = [
            past
            for moment, partition, _, past in made
            if partition // 2 == worker or moment <= true - max(each.behind, lag)
        ]
        now = Past(int(stamped.timestamp()), *each.given)
        one = logged(stamped, each.partition, f"t{number}", each.given)
        profile = expected(schema(), known, now)
        right = replace(one.decision, profile=profile, profile_lag=lag)
        made.append((true, each.partition, one._replace(decision=right), now))
    log = [one for _, _, one, _ in made]
    return sorted(log, key=lambda each: (each.moment, each.partition))


def verified(log: Sequence[Logged]) -> Verified:
    assert schema().remembering
    verifier = Verifier(schema().remembering, schema().profile_version, LAG, 100)  # type: ignore[arg-type]
    verifier.check(log)
    return verifier.result()


@settings(max_examples=60)
@given(run=runs, skew=st.sampled_from([0.0, 2.0]), late=st.sampled_from([0.0, 5.5, 30.0, 75.0]))
def test_what_two_workers_have_truly_read_is_explained(
    run: list[Elsewhere], skew: float, late: float
) -> None:
    found = verified(of_two_workers(run, skew, late))
    assert found.unexplained == 0, found.examples


@settings(max_examples=60)
@given(run=runs, late=st.sampled_from([0.0, 5.5]), data=st.data())
def test_a_value_that_no_neighbour_accounts_for_is_unexplained(
    run: list[Elsewhere], late: float, data: st.DataObject
) -> None:
    log = of_two_workers(run, 2.0, late)
    place = data.draw(st.integers(0, len(log) - 1))
    right = log[place].decision
    name = data.draw(st.sampled_from(sorted(right.profile)))
    beyond = {
        "spent": 1e6,  # more than all of them
        "usual": 500.01,  # more than the largest one
        "risk": 0.01,  # no label is known
        "frauds": 1.0,
        "waited": 3_700.0,
    }
    more = beyond.get(name, float(len(run)))
    profile = {**right.profile, name: right.profile[name] + more}
    log[place] = log[place]._replace(decision=replace(right, profile=profile))
    found = verified(log)
    assert found.unexplained == 1
    assert found.examples[0].transaction_id == right.transaction_id
    lost = {key: each for key, each in right.profile.items() if key not in ("sent", "spent")}
    log[place] = log[place]._replace(decision=replace(right, profile=lost))
    assert verified(log).unexplained == 1


def test_only_decisions_on_the_account_of_a_value_explain_it() -> None:
    world = World()
    world.decide(0, ("a", "x", 10))
    made = world.decide(1, ("b", "x", 20))
    for name, explained in [("taken", True), ("sent", False), ("frauds", False)]:
        changed = {**made.decision.profile, name: abs(made.decision.profile[name] - 1.0)}
        world.log[1] = made._replace(decision=replace(made.decision, profile=changed))
        assert world.verified().explained == explained, name


@pytest.mark.parametrize(
    ("later", "between", "explained"), [(1_800, False, 1), (7_200, False, 0), (1_800, True, 0)]
)
def test_the_first_decision_of_a_partition_within_the_hour_may_have_been_in_flight_before(
    later: int, between: bool, explained: int
) -> None:
    world = World()
    made = world.decide(0, ("a", None, 10))
    seen = replace(made.decision, profile={**made.decision.profile, "sent": 1.0, "spent": 0.2})
    world.log[0] = made._replace(decision=seen)
    world.now += timedelta(seconds=later)
    if between:
        world.decide(1, ("b", None, 20))
        world.now += timedelta(seconds=1)
    world.decide(1, ("a", None, 20))
    assert world.verified().explained == explained


def test_while_much_is_wrong_the_oldest_ones_wait_for_no_explanation_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(judging, "MAX_WAITING", 5)
    world = World()
    for _ in range(20):
        world.decide(0, ("a", None, 10))
        world.now += timedelta(seconds=1)
    world.log = [
        each._replace(
            decision=replace(each.decision, profile={**each.decision.profile, "sent": at + 1.0})
        )
        for at, each in enumerate(world.log)
    ]
    world.decide(1, ("a", None, 10))
    found = world.verified()
    # Of those that wait, the last five are left; five are made less than the lag before it.
    assert (found.differing, found.explained) == (20, 10)


def test_a_decision_that_says_that_profiles_were_behind_may_lack_what_came_within_that_time() -> (
    None
):
    for ago, lag, explained in [(20, 0.0, 0), (20, 5.5, 0), (20, 16.0, 1), (500, 16.0, 0)]:
        world = World()
        world.decide(0, ("a", None, 10))
        world.now += timedelta(seconds=ago)
        made = world.decide(0, ("a", None, 10))
        nothing = expected(schema(), [], world.past[-1])
        other = replace(made.decision, profile=nothing, profile_lag=lag)
        world.log[1] = made._replace(decision=other)
        assert world.verified().explained == explained


def test_a_worker_that_has_just_started_may_lack_all_and_invents_nothing() -> None:
    world = World()
    world.decide(0, ("a", None, 10))
    world.now += timedelta(days=2)
    made = world.decide(0, ("a", None, 10))
    for profile, explained in [
        (expected(schema(), [], world.past[-1]), 1),
        ({**made.decision.profile, "sent": 1_000.0}, 0),
    ]:
        other = replace(made.decision, profile=profile, profile_lag=75.0)
        world.log[1] = made._replace(decision=other)
        assert world.verified().explained == explained


@pytest.mark.parametrize("lag", [0.0, 5.5])
def test_a_worker_that_could_not_read_profiles_says_that_they_were_behind(lag: float) -> None:
    world = World()
    made = world.decide(0, ("a", None, 10))
    world.log[0] = made._replace(decision=replace(made.decision, profile={}, profile_lag=lag))
    found = world.verified()
    assert (found.differing, found.explained) == (1, int(lag > 0))


@pytest.mark.parametrize("lag", [0.0, 5.5, 40.0])
def test_labels_that_were_not_seen_are_explained_by_as_long_a_lag_alone(lag: float) -> None:
    world = World()
    world.decide(0, ("a", "x", 10))
    world.now += timedelta(seconds=30)
    world.tell(0)
    world.decide(1, ("b", "x", 10))  # from here on the label is seen
    world.now += timedelta(seconds=20)
    made = world.decide(1, ("c", "x", 10))
    unseen = replace(made.decision, profile_lag=lag)
    unseen = replace(unseen, profile={**made.decision.profile, "frauds": 0.0, "risk": 0.0})
    world.log[-1] = made._replace(decision=unseen)
    assert world.verified().explained == int(lag > 20)


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
