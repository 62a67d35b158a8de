"""Every input ends once, where it should, whatever comes with it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json

from fraudapp.messages.publish import ORIGIN
from models.counts import Counts
from models.records import Outcome
from tests.support.transactions import transaction
from tests.unit.agents.bench import (
    LARGE,
    PARTITIONS,
    SOON,
    UNSCORED,
    A,
    B,
    Bench,
    C,
    K,
    L,
    origin_of,
)


@pytest.fixture(scope="module", autouse=True)
def _no_pauses() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agents.completion.FLUSH_INTERVAL", 0.0)
        yield


async def test_a_decision_is_appended_counted_enqueued_and_notified(bench: Bench) -> None:
    bench.put_transactions(A, amount=1.0)
    bench.put_transactions(B, amount=LARGE)
    events = bench.delivered()
    with bench.waiters.subscribe(B) as waiting:
        await bench.decide(events)
        decided = bench.decided()
        assert await asyncio.wait_for(waiting, SOON) == decided[B]
    assert {each: decided[each].decision for each in decided} == {
        A: Outcome.APPROVE,
        B: Outcome.BLOCK,
    }
    assert [(each.partition, each.offset) for each in decided.values()] == [(0, 0), (0, 1)]
    assert bench.is_acknowledged(events)
    assert bench.fates() == {"APPROVE": 1, "BLOCK": 1}
    assert bench.table.values[0].offset == 1
    assert bench.listener.notifications == 1
    assert bench.dead_letters() == []
    assert bench.counted == [*decided.values()]
    ((_, cell),) = bench.watch.take().items()
    assert cell.rows == len(decided)
    assert bench.told_of == [(0, A), (0, B)]


async def test_all_partitions_of_a_batch_are_scored_at_once(bench: Bench) -> None:
    bench.put_transactions(A, B, partition=0)
    bench.put_transactions(K, partition=1)
    await bench.decide(bench.delivered(0), bench.delivered(1))
    assert bench.scorer.asked == [[A, B, K]]
    assert [list(bench.decided(each)) for each in range(PARTITIONS)] == [[A, B], [K]]


async def test_a_redelivered_input_is_not_decided_again(bench: Bench) -> None:
    bench.put_transactions(A)
    await bench.decide(bench.delivered())
    first = bench.decided()[A]
    bench.consumption.generation = 2  # of the worker that has the partition after a crash
    bench.deliver_again()
    events = bench.delivered()
    await bench.decide(events)
    assert bench.is_acknowledged(events)
    assert len(bench.broker.topics[bench.log_topic][0]) == 1
    assert bench.decided()[A] == first
    assert bench.scorer.asked == [[A]]
    assert bench.fates() == {"APPROVE": 1}


@pytest.mark.parametrize("together", [True, False])
async def test_a_duplicate_is_counted_and_answered_with_the_first_decision(
    bench: Bench, together: bool
) -> None:
    bench.put_transactions(A)
    if not together:
        await bench.decide(bench.delivered())
    bench.put_transactions(A)
    events = bench.delivered()
    with bench.waiters.subscribe(A) as waiting:
        await bench.decide(events)
        assert (await asyncio.wait_for(waiting, SOON)) == bench.decided()[A]
    assert bench.is_acknowledged(events)
    assert len(bench.broker.topics[bench.log_topic][0]) == 1
    assert bench.fates() == {"APPROVE": 1, "duplicate": 1}
    assert bench.dead_letters() == []


@pytest.mark.parametrize("together", [True, False])
async def test_another_payload_under_a_used_id_is_a_dead_letter(
    bench: Bench, together: bool
) -> None:
    bench.put_transactions(A, amount=1.0)
    if not together:
        await bench.decide(bench.delivered())
    bench.put_transactions(A, amount=2.0)
    events = bench.delivered()
    await bench.decide(events)
    assert bench.is_acknowledged(events)
    assert bench.decided()[A].transaction.amount == 1.0
    (letter,) = bench.dead_letters()
    headers = dict(letter.headers)
    assert headers["reason"] == b"conflict"
    assert b"amount" in headers["detail"]
    assert (headers["topic"], headers["partition"], headers["offset"]) == (
        bench.inputs.encode(),
        b"0",
        b"1",
    )
    assert letter.value == json.encode(transaction(A, amount=2.0))
    assert bench.fates() == {"APPROVE": 1, "conflict": 1}


async def test_an_invalid_input_becomes_a_dead_letter_unchanged(bench: Bench) -> None:
    bench.put(b"no JSON", key=b"key")
    bench.put(None)
    bench.put_transactions(A)
    events = bench.delivered()
    await bench.decide(events)
    assert bench.is_acknowledged(events)
    assert [(each.key, each.value) for each in bench.dead_letters()] == [
        (b"key", b"no JSON"),
        (None, None),
    ]
    assert bench.reasons() == ["invalid", "invalid"]
    assert list(bench.decided()) == [A]
    assert bench.fates() == {"APPROVE": 1, "invalid": 2}


async def test_an_input_without_score_is_a_dead_letter_and_its_neighbours_are_decided(
    bench: Bench,
) -> None:
    bench.put_transactions(A)
    bench.put_transactions(B, nameOrig=UNSCORED)
    bench.put_transactions(B, nameOrig=UNSCORED)  # of a decision that there is not
    bench.put_transactions(C)
    bench.put_transactions(K, partition=1)
    await bench.decide(bench.delivered(0), bench.delivered(1))
    assert list(bench.decided(0)) == [A, C]
    assert list(bench.decided(1)) == [K]
    assert bench.reasons() == ["unscored", "unscored"]
    assert bench.fates() == {"APPROVE": 2, "unscored": 2}


async def test_a_scorer_that_fails_for_all_ends_the_worker(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(transactions: Any) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr(bench.scorer, "matrix", broken)
    bench.put_transactions(A)
    with pytest.raises(RuntimeError, match="broken"):
        await bench.decide(bench.delivered())
    assert not bench.consumption.acknowledged
    assert not bench.dead_letters()


async def test_a_misrouted_input_is_sent_to_its_key_partition_and_decided_there(
    bench: Bench,
) -> None:
    bench.put_transactions(K, partition=0)
    events = bench.delivered(0)
    await bench.decide(events)
    assert bench.is_acknowledged(events)
    assert bench.decided(0) == bench.decided(1) == {}
    (rerouted,) = bench.rerouted(1)
    assert rerouted.value == json.encode(transaction(K))
    assert dict(rerouted.headers)[ORIGIN] == f"{bench.inputs}/0/0".encode()
    assert bench.fates(0) == {}
    await bench.decide(bench.delivered(1))
    decided = bench.decided(1)[K]
    assert (decided.partition, decided.offset) == (0, 0)
    assert bench.rerouted(0) == []


async def test_decisions_of_an_earlier_topic_of_that_name_make_duplicates(bench: Bench) -> None:
    bench.put_transactions(A)
    await bench.decide(bench.delivered())
    bench.consumption.generation = 2
    bench.topic_ids[bench.inputs] = "id-3"  # deleted and made anew, with the same record in it
    bench.deliver_again()
    await bench.decide(bench.delivered())
    assert bench.fates() == {"APPROVE": 1, "duplicate": 1}
    assert (bench.table.values[0].topic_id, bench.table.values[0].since) == ("id-3", 1)


async def test_all_of_a_topic_shorter_than_the_counted_offset_is_counted(
    bench: Bench,
) -> None:
    bench.table.values[0] = Counts(offset=50, fates={"duplicate": 3}, topic_id="id-1")
    bench.put_transactions(A, A)
    await bench.decide(bench.delivered())
    assert bench.table.values[0].offset == 1
    assert bench.fates() == {"APPROVE": 1, "duplicate": 4}


HOMES: Final = {A: 0, B: 0, K: 1, L: 1}
"""Key partition of each id."""
VALID: Final = [
    json.encode(transaction(each, amount=amount, nameOrig=sender))
    for each in HOMES
    for amount, sender in [(1.0, "C1"), (LARGE, "C1"), (1.0, UNSCORED)]
]
INVALID: Final = [b"no JSON", b"{}", None]
puts = st.tuples(st.sampled_from(VALID) | st.sampled_from(INVALID), st.integers(0, PARTITIONS - 1))
Step = tuple[Sequence[tuple[bytes | None, int]], set[str]]
"""Inputs with their partition, and the ids that another writer decides while they are decided."""
steps_of_any_kind = st.lists(
    st.tuples(st.lists(puts, max_size=8), st.sets(st.sampled_from([*HOMES]), max_size=2)),
    max_size=4,
)


async def drain(bench: Bench, disturb: Iterable[str]) -> None:
    """Decide all that is there; another writer decides these ids while the first batch is."""
    while partitions := [each for each in range(PARTITIONS) if bench.undelivered(each)]:
        batch = [bench.delivered(each) for each in partitions]
        parts = await bench.pipeline.begin(batch)
        for transaction_id in disturb:
            await bench.another_writer_decides(
                transaction_id,
                partition=HOMES[transaction_id],
                transaction=transaction(transaction_id, amount=1.0),
            )
        disturb = ()
        await asyncio.gather(*map(bench.pipeline.finish, parts))
        await bench.completed(*batch)
        assert all(map(bench.is_acknowledged, batch))


def ends(bench: Bench) -> Counter[tuple[int, int]]:
    """Return how often each input that a producer has put has ended, by partition and offset."""
    found: Counter[tuple[int, int]] = Counter()
    for partition in range(PARTITIONS):
        found.update(
            (each.partition, each.offset)
            for each in bench.decided(partition).values()
            if each.offset < 1_000_000  # else it is of another writer's input
        )
    for letter in bench.dead_letters():
        headers = dict(letter.headers)
        found[int(headers["partition"]), int(headers["offset"])] += 1
    for partition, progress in bench.counts.added:
        for offset, fate in progress.inputs:
            if fate == "duplicate":
                origin = origin_of(bench.broker.topics[bench.inputs][partition][offset])
                found[origin.partition, origin.offset] += 1
    return found


def rerouted(bench: Bench) -> set[tuple[int, int]]:
    """Return which inputs were sent on to their key partition; none of them was so twice."""
    origins = [origin_of(each) for to in range(PARTITIONS) for each in bench.rerouted(to)]
    found = [(each.partition, each.offset) for each in origins]
    assert len(found) == len(set(found))
    return set(found)


def id_of(value: bytes | None) -> str | None:
    return json.decode(value)["transaction_id"] if value in VALID else None


@settings(max_examples=60)
@given(steps_of_any_kind)
async def test_every_input_ends_exactly_once(steps: Sequence[Step]) -> None:
    with TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        expected: set[tuple[int, int]] = set()
        misrouted: set[tuple[int, int]] = set()
        try:
            for inputs, disturb in steps:
                for value, partition in inputs:
                    place = partition, bench.put(value, partition).offset
                    expected.add(place)
                    if HOMES.get(id_of(value) or "", partition) != partition:
                        misrouted.add(place)
                await drain(bench, disturb)
            assert ends(bench) == dict.fromkeys(expected, 1)
            assert rerouted(bench) == misrouted
            assert not bench.consumption.released
        finally:
            await bench.stop()
