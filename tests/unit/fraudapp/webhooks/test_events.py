"""Each event says what happened, under an id that stays."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone

import pytest
from hypothesis import given

from fraudapp.webhooks.events import Chronicle, Event, blocked
from models.control import records
from models.control.records import Approved, CapKey, Capped, Listed, Proposed, Removed
from models.records import Decision
from tests.support.decisions import decision, decisions

FIRST, SECOND = "1" * 32, "2" * 32
POLICY = "flag_at = 0.5\nblock_at = 0.8\n"
AT = 1_700_000_000_000
NewRecord = tuple[bytes, "bytes | None", list[tuple[str, bytes]]]


def told(*new: NewRecord) -> list[Event]:
    """The events of a control log of these records."""
    chronicle = Chronicle()
    read = [records.read(offset, AT, *record) for offset, record in enumerate(new)]
    return [event for record in read if (event := chronicle.take(record))]


def proposed(id_: str, parent: str = "", **changes: object) -> NewRecord:
    fields: dict[str, object] = {"parent": parent, "text": POLICY, "author": "ann", "note": "why"}
    return records.proposal(id_, Proposed(**{**fields, **changes}))  # type: ignore[arg-type]


def capped(rule: str, *, on: bool, policy: str = FIRST) -> NewRecord:
    return records.cap(CapKey(policy, rule), Capped(on=on, share=0.25, author="w1"))


def test_a_blocked_decision_is_told_with_its_transaction() -> None:
    event = blocked(7, decision("t1", hits=["night"]))
    body = json.loads(event.body)
    assert (event.offset, event.type, event.id) == (7, "decision.blocked", "decision/t1")
    assert body.keys() == {"type", "timestamp", "data"}
    assert body["type"] == "decision.blocked"
    assert body["timestamp"] == body["data"]["decided_at"] == "2026-03-04T05:06:07.890123Z"
    assert body["data"].keys() == {
        *("transaction_id", "score", "reasons", "model_version", "policy_version", "hits"),
        *("decided_at", "transaction"),
    }
    assert body["data"]["transaction"]["transaction_id"] == "t1"
    assert body["data"]["hits"] == ["night"]
    assert body["data"]["reasons"][0]["code"] == "DRAINED"


@given(decisions)
def test_the_id_of_any_decision_is_a_header_and_another_for_each_transaction(
    made: Decision,
) -> None:
    id_ = blocked(0, made).id
    assert re.fullmatch(r"decision/[A-Za-z0-9_~%-]+", id_)
    other = decision(made.transaction_id + "x", transaction=made.transaction)
    assert blocked(0, other).id != id_
    again = decision(made.transaction_id, offset=9, transaction=made.transaction, score=0.9)
    assert blocked(5, again).id == id_


def test_a_full_stop_is_not_in_an_id_since_it_separates_what_is_signed() -> None:
    assert blocked(0, decision("a.b/c d")).id == "decision/a%2Eb%2Fc%20d"


def test_a_policy_is_told_when_it_comes_in_force() -> None:
    first, second = told(
        proposed(FIRST),
        proposed(SECOND, FIRST, needs_approval=True, author="bob", note=""),
        records.approval(SECOND, Approved(author="bob")),
        records.approval(SECOND, Approved(author="ann")),
    )
    assert (first.type, first.id, first.offset) == ("policy.changed", f"policy/{FIRST}", 0)
    assert first.happened_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone.utc)
    assert first.data == {
        "number": 1,
        "previous": None,
        "author": "ann",
        "note": "why",
        "approver": None,
    }
    assert (second.id, second.offset) == (f"policy/{SECOND}", 3)
    assert second.data == {
        "number": 2,
        "previous": 1,
        "author": "bob",
        "note": "",
        "approver": "ann",
    }


def test_a_cap_is_told_once_however_many_workers_write_it() -> None:
    _, *caps = told(
        proposed(FIRST),
        capped("night", on=True),
        capped("night", on=True),
        capped("", on=True),
        capped("night", on=False),
        capped("night", on=False),
        capped("night", on=True),
    )
    assert [(each.type, each.data["rule"]) for each in caps] == [
        ("cap.begun", "night"),
        ("cap.begun", ""),
        ("cap.ended", "night"),
        ("cap.begun", "night"),
    ]
    assert caps[0].id == f"cap/{FIRST}/night/1"
    assert caps[1].id == f"cap/{FIRST}/3"
    assert len({each.id for each in caps}) == len(caps)
    assert caps[0].data["share"] == 0.25
    assert caps[0].data["policy"] == 1


def test_what_changes_no_policy_and_no_cap_is_no_event() -> None:
    assert not told(
        proposed(SECOND, FIRST),
        capped("night", on=True),
        records.entry("mules", "m1", Listed(author="ann")),
        records.removal("mules", "m1", Removed()),
        records.approval(FIRST, Approved(author="bob")),
    )


@pytest.mark.parametrize("written_at", [-1, 0, 2**62])
def test_any_time_of_a_producer_has_a_form(written_at: int) -> None:
    event = Chronicle().take(records.read(0, written_at, *proposed(FIRST)))
    assert event is not None
    assert json.loads(event.body)["timestamp"][4] == "-"
