"""The effective label is that of the strongest source, and a record of it is whole or none."""

from __future__ import annotations

import json
from datetime import timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.labels.records import (
    Said,
    Source,
    conflicting,
    decode,
    effective,
    encode,
    labelled,
    parts,
)
from models.parsing import UNREADABLE
from models.records import Decision
from models.schema.schema import PAYSIM, preset
from tests.support.decisions import decision, decisions

said = st.builds(
    Said,
    label=st.sampled_from([0, 1]),
    at=st.datetimes(timezones=st.just(timezone.utc)),
    by=st.text(min_size=1),
    offset=st.integers(0, 2**63 - 1),
)
by_source = st.dictionaries(st.sampled_from(Source), said, min_size=1)


@given(decisions, by_source)
def test_a_labelled_decision_is_read_as_it_was_written(
    decision: Decision, labels: dict[Source, Said]
) -> None:
    made = labelled(decision, labels)
    assert decode(encode(made), PAYSIM) == made
    assert parts(encode(made)) == (labels, msgspec.json.encode(decision))
    assert encode(decode(encode(made), PAYSIM)) == encode(made)


@given(by_source)
def test_the_strongest_source_that_has_spoken_counts(labels: dict[Source, Said]) -> None:
    source = effective(labels)
    order = [Source.CONFIRMED, Source.CHARGEBACK, Source.ANALYST, Source.CUSTOMER]
    assert source == next(each for each in order if each in labels)
    made = labelled(decision("a"), labels)
    assert (made.source, made.label) == (source, labels[source].label)
    assert made.version == max(each.offset for each in labels.values())
    assert made.transaction_id == "a"
    assert conflicting(labels) == ({0, 1} == {each.label for each in labels.values()})


def test_no_labels_are_no_labelled_decision() -> None:
    assert not conflicting({})
    with pytest.raises(ValueError, match="empty"):
        effective({})


def record(**changes: Any) -> bytes:
    one = {"label": 1, "at": "2026-03-04T05:06:07Z", "by": "ann", "offset": 4}
    whole = {
        "version": 4,
        "label": 1,
        "source": "analyst",
        "labels": {"analyst": one},
        "decision": json.loads(msgspec.json.encode(decision())),
    }
    return json.dumps({**whole, **changes}).encode()


def test_the_record_is_one() -> None:
    assert decode(record(), PAYSIM).decision == decision()


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 5},
        {"version": -1},
        {"label": 0},
        {"label": 2},
        {"source": "confirmed"},
        {"source": "nobody"},
        {"labels": {}},
        {"labels": None},
        {"labels": {"nobody": {}}},
        {"decision": {}},
        {"decision": None},
    ],
    ids=str,
)
def test_what_does_not_follow_from_its_labels_is_none(changes: dict[str, Any]) -> None:
    with pytest.raises(UNREADABLE):
        decode(record(**changes), PAYSIM)


def test_a_decision_under_another_schema_is_kept() -> None:
    found = decode(record(), preset("cards"))
    assert found.decision.transaction.nameOrig == decision().transaction.nameOrig
    assert decode(encode(found), PAYSIM) == decode(record(), PAYSIM)
