"""The torture's checker sees what it is there to see."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import date
from typing import Any

import pytest

from models.records import Transaction
from tests.support.messages import encoded, transaction
from tests.torture import comparing
from tests.torture.comparing import Found
from tests.torture.expected import Expected
from tests.torture.lines import line
from tests.torture.reading import Record
from tests.torture.recomputing import Recomputing
from tests.torture.written import Written

DAY = date(2026, 3, 4)
IDS = ("a", "b", "c")


def decision(id_: str, offset: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "transaction_id": id_,
        "decision": "APPROVE",
        "score": 0.25,
        "reasons": [],
        "model_version": "m",
        "policy_version": "flag-0.5-block-0.8",
        "decided_at": f"{DAY}T12:00:00.000001Z",
        "topic": "transactions",
        "partition": 0,
        "offset": offset,
        "transaction": transaction(id_),
        **changes,
    }


def record(value: bytes | None, offset: int = 0, topic: str = "decisions", **more: Any) -> Record:
    fields: dict[str, Any] = {"key": b"k", "headers": (), "partition": 0} | more
    return Record(topic=topic, offset=offset, value=value, **fields)


def inputs(*values: bytes | None) -> list[Record]:
    return [record(each, number, "transactions") for number, each in enumerate(values)]


def log_of(*decisions: dict[str, Any]) -> list[Record]:
    return [record(json.dumps(each).encode(), n) for n, each in enumerate(decisions)]


def first() -> dict[str, str]:
    return comparing.first_lines(log_of(*(decision(id_, n) for n, id_ in enumerate(IDS))))


def in_store(lines: Iterable[str], written: Written | None = None, *, once: bool = True) -> Found:
    found = Found()
    comparing.compare_sink("postgres", lines, first(), written or Written(), found, once=once)
    return found


def complaints(found: Found) -> list[str]:
    return [*found.lost, *found.doubled, *found.miscounted]


def test_a_store_that_has_all_of_it_is_right() -> None:
    assert complaints(in_store(first().values())) == []
    assert complaints(in_store([*first().values(), first()["a"]], once=False)) == []


def test_of_several_decisions_the_first_counts() -> None:
    log = log_of(decision("a"), decision("a", 7, score=0.3))
    assert comparing.first_lines(log) == {"a": line(decision("a"))}


@pytest.mark.parametrize(
    "changes",
    [
        {"policy_version": "flag-0.1-block-0.2"},
        {"decided_at": f"{DAY}T12:00:00.000002Z"},
        {"model_version": "other"},
        {"offset": 9},
        {"reasons": [{"code": "X", "text": "x", "contribution": 0.5}]},
        {"transaction": transaction("a", seed=1)},
        {"score": 0},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_record_that_differs_in_any_field_is_another(changes: dict[str, Any]) -> None:
    others = [text for id_, text in first().items() if id_ != "a"]
    found = in_store([*others, line(decision("a", **changes))])
    name = next(iter(changes))
    assert found.lost == [f"postgres does not have a, but one with another {name}"]
    assert found.doubled == [f"postgres has another decision on a: {name}"]


def test_rows_that_are_missing_twice_there_or_nobodys_are_told() -> None:
    lines = [first()["a"], first()["b"], first()["b"], line(decision("x"))]
    found = in_store(lines)
    assert found.lost == ["postgres does not have c"]
    assert found.doubled == ["postgres has 2 rows of b", "postgres has x, undecided"]


def test_two_decisions_under_one_id_are_told() -> None:
    blocked = line(decision("a", decision="BLOCK", policy_version="flag-0-block-0"))
    found = in_store([*first().values(), blocked])
    assert found.doubled == [
        "postgres has another decision on a: decision, policy_version",
        "postgres has 2 rows of a",
    ]


def test_what_was_purged_is_not_there_and_what_was_not_is() -> None:
    written = Written()
    written.purge(date(2026, 3, 5))
    assert complaints(in_store([], written)) == []
    assert in_store([first()["a"]], written).doubled == [
        "postgres has a, which was purged with 2026-03-04"
    ]
    written.purge(DAY)
    assert len(in_store([], written).lost) == 3


def test_a_purge_that_the_broker_has_forgotten_may_have_been() -> None:
    written = Written()
    written.purge(date(2026, 3, 5))
    written.set_back((), (), (), IDS, None)
    assert complaints(in_store([first()["a"]], written)) == []


def test_what_the_log_has_lost_may_still_be_in_stores() -> None:
    written = Written()
    written.attempted |= {*IDS, "d"}
    written.set_back({"b", "c"}, (), (), {"b", "c"}, None)
    other = line(decision("a", score=0.3))
    lines = [other, first()["b"], first()["c"], line(decision("d"))]
    assert complaints(in_store(lines, written)) == []
    assert in_store(lines[1:], written).lost == ["postgres does not have a"]
    assert in_store([other, line(decision("b", score=0.3))], written).doubled


def test_undecided_and_unasked_and_wrongly_decided_ones_are_told() -> None:
    good = [encoded(transaction(id_)) for id_ in (*IDS, "e")]
    log = [
        decision("a"),
        decision("b", 1, decision="FLAG"),
        decision("c", 1),
        decision("aborted"),
        decision("e", 3, transaction=transaction("e", seed=1)),
    ]
    lines, found = comparing.first_lines(log_of(*log)), Found()
    expected = Expected(inputs(*good, encoded(transaction("late"))), Written())
    comparing.compare_log(lines, comparing.decided_by(lines), expected, Recomputing([]), found)
    assert found.lost == ["late was not decided"]
    (wrong,) = found.misdecided
    assert wrong.startswith("b: by flag-0.5-block-0.8 is ('FLAG', [], [], 0), expected ('APPROVE'")
    assert sorted(found.doubled) == [
        "aborted was decided unasked",
        "c was decided from an input where there is another",
        "e was decided with a payload nobody sent",
    ]


def letter(source: int, value: bytes | None, reason: str = "invalid", **more: Any) -> Record:
    texts = {"reason": reason, "partition": "0", "offset": str(source)}
    headers = tuple((name, text.encode()) for name, text in texts.items())
    return record(value, 0, "dead-letters", headers=headers, **more)


def letters(*those: Record) -> tuple[Found, Counter[tuple[int, int]]]:
    values = [encoded(transaction("a")), b"", encoded(transaction("a", seed=1)), b"bad"]
    found, expected = Found(), Expected(inputs(*values), Written())
    decided: dict[str, Transaction] = {"a": expected.valid[0, 0]}
    return found, comparing.compare_dead_letters(those, expected, decided, found)


def test_each_rejected_input_is_a_dead_letter_with_its_key_bytes_and_reason() -> None:
    conflict = encoded(transaction("a", seed=1))
    good = [letter(1, b""), letter(2, conflict, "conflict"), letter(3, b"bad")]
    found, count = letters(*good, good[0])
    assert complaints(found) == []
    assert count[0, 1] == 2
    found, _ = letters(letter(1, None), letter(2, conflict), letter(0, b"x"))
    assert sorted(found.lost) == [
        "dead letter of (0, 1) has other bytes",
        "dead letter of (0, 2) has reason invalid",
        "input (0, 3) is no dead letter",
    ]
    assert [each[:43] for each in found.doubled] == ["input (0, 0) is a dead letter without cause"]
    assert letters(*good[:2], letter(3, b"bad", key=b"other"))[0].lost


def test_strangers_records_are_known_by_what_was_written() -> None:
    written = Written()
    stranger = record(b"junk")
    written.foreign.add(("decisions", 0, b"k", b"junk"))
    ours = record(json.dumps(decision("a")).encode(), 1)
    assert written.of_workers([stranger, ours]) == [ours]
    assert written.of_workers([stranger._replace(partition=1)])


def origin(value: bytes) -> tuple[tuple[str, bytes], ...]:
    return (("origin", value),)


@pytest.mark.parametrize("headers", [(), origin(b"transactions/1/5"), origin(b"\xff")])
def test_what_only_claims_to_have_been_sent_on_is_an_input(
    headers: tuple[tuple[str, bytes], ...],
) -> None:
    written = Written()
    records = [record(encoded(transaction("a")), topic="transactions", headers=headers)]
    assert ("a" in Expected(records, written).payloads) == (not headers)
    written.forged.add((b"k", encoded(transaction("a")), headers))
    assert "a" in Expected(records, written).payloads
