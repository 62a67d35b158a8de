"""Every input of a batch is in exactly one list, and an id is decided once."""

from __future__ import annotations

from datetime import datetime, timezone

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from models.deduplication import deduplicate
from models.inputs import Input, Position, ValidInput
from models.key_hash import key_partitions
from models.records import Decision, Outcome, Transaction
from models.routing import route
from tests.support.transactions import candidate, transaction, transactions


def decided(each: Transaction, offset: int, partition: int = 0) -> Decision:
    return Decision(
        transaction_id=each.transaction_id,
        decision=Outcome.FLAG,
        score=0.6,
        reasons=[],
        model_version="m",
        policy_version="p",
        decided_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
        topic="transactions",
        partition=partition,
        offset=offset,
        transaction=each,
    )


def test_a_bad_input_costs_its_neighbours_nothing() -> None:
    good = b'{"transaction_id":"a","step":1,"type":"DEBIT","amount":1,"nameOrig":"C1",'
    good += b'"oldbalanceOrg":0,"newbalanceOrig":0,"nameDest":"C2","oldbalanceDest":0,'
    good += b'"newbalanceDest":0}'
    raws = [good, b"{", None, good.replace(b'"a"', b'"b"'), b"\xff"]
    places = [Position("t", 0, offset) for offset in range(len(raws))]
    routed = route([Input(None, raw, at, at) for raw, at in zip(raws, places, strict=True)], 1)
    assert [each.input.position.offset for each in routed.valid] == [0, 3]
    assert [each.input.position.offset for each in routed.rejected] == [1, 2, 4]
    assert all(each.reason == "invalid" and each.detail for each in routed.rejected)


@given(st.lists(transactions, max_size=8), st.integers(1, 9))
def test_a_transaction_is_decided_in_its_key_partition_and_nowhere_else(
    batch: list[Transaction], partitions: int
) -> None:
    inputs = [
        Input(None, msgspec.json.encode(each), Position("t", number, 0), Position("t", number, 0))
        for each in batch
        for number in range(partitions)
    ]
    routed = route(inputs, partitions)
    assert len(routed.valid) == len(batch)
    for candidate_, home in routed.misrouted:
        assert key_partitions([candidate_.transaction.transaction_id], partitions) == [home]
        assert candidate_.input.position.partition != home


def test_the_same_message_again_is_replayed() -> None:
    stored = decided(transaction("a"), offset=5)
    found = deduplicate([candidate(transaction("a"), offset=5)], {"a": stored})
    assert [each.transaction for each in found.redelivered] == [stored.transaction]


def test_a_rerouted_message_is_known_by_its_origin() -> None:
    stored = decided(transaction("a"), offset=5, partition=3)
    origin = Position("transactions", 3, 5)
    for offset in (9, 10):  # rerouted twice: a worker crashed before its acknowledgement
        home = Position("transactions", 0, offset)
        again = ValidInput(transaction("a"), Input(None, b"raw", home, origin))
        assert deduplicate([again], {"a": stored}).redelivered == [again]


def test_another_message_with_the_same_payload_is_a_duplicate() -> None:
    stored = decided(transaction("a"), offset=5)
    for again in (candidate(transaction("a"), 6), candidate(transaction("a"), 5, partition=1)):
        assert deduplicate([again], {"a": stored}).duplicates == [again]


def test_another_payload_under_a_used_id_is_a_conflict_that_names_the_difference() -> None:
    stored = decided(transaction("a"), offset=5)
    found = deduplicate([candidate(transaction("a", amount=1.0), 6)], {"a": stored})
    (rejection,) = found.rejected
    assert rejection.reason == "conflict"
    assert "amount: 1.0 here, 250000.0 before" in rejection.detail


def test_of_several_with_one_id_in_a_batch_the_first_is_decided() -> None:
    first, again = candidate(transaction("a"), 1), candidate(transaction("a"), 2)
    other = candidate(transaction("a", step=9), 3)
    found = deduplicate([first, again, other], {})
    assert found.new == [first]
    assert found.duplicates == [again]
    assert [each.input for each in found.rejected] == [other.input]


ids = st.sampled_from(["a", "b", "c"])
candidates = st.lists(st.tuples(ids, st.integers(1, 2)), max_size=12).map(
    lambda rows: [candidate(transaction(id_, step=step), n) for n, (id_, step) in enumerate(rows)]
)
sinks = st.dictionaries(ids, st.tuples(st.integers(1, 2), st.integers(0, 14)))


@given(candidates, sinks)
def test_every_input_is_in_exactly_one_list(
    batch: list[ValidInput], stored: dict[str, tuple[int, int]]
) -> None:
    known = {
        id_: decided(transaction(id_, step=step), offset) for id_, (step, offset) in stored.items()
    }
    found = deduplicate(batch, known)
    settled = (*found.new, *found.duplicates, *found.redelivered)
    offsets = [each.input.position.offset for each in settled]
    offsets += [each.input.position.offset for each in found.rejected]
    assert sorted(offsets) == list(range(len(batch)))
    new = [each.transaction.transaction_id for each in found.new]
    assert len(set(new)) == len(new)
    assert not set(new) & set(known)


@given(transactions, st.integers(0, 9))
def test_the_position_of_a_decision_tells_a_replay_only_of_the_same_topic(
    each: Transaction, offset: int
) -> None:
    known = {each.transaction_id: decided(each, offset)}
    again = [candidate(each, offset)]
    assert len(deduplicate(again, known).redelivered) == 1
    found = deduplicate(again, known, {each.transaction_id})
    assert (len(found.redelivered), len(found.duplicates)) == (0, 1)
