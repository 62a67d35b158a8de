"""Of the records of an id, those of a newer version count, whatever else is read between them."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.labels.changes import COUNTED_BYTES, Counted, changes, unpacked
from fraudapp.labels.records import LabelledRecord
from models.labels.records import Said, Source, Value, encode, labelled
from tests.support.decisions import decision

AT = datetime(2026, 1, 1, tzinfo=timezone.utc)
counted = st.builds(Counted, st.integers(0, 2**63 - 1), st.sampled_from([0, 1]))


def record(id_: str, version: int, label: Value, *, place: int = 0) -> LabelledRecord:
    said = Said(label=label, at=AT, by="ann", offset=version)
    made = labelled(decision(id_), {Source.ANALYST: said})
    return LabelledRecord(place % 4, place, 1_000 + place, made, encode(made))


# Of one id and version, all records are the same.
topics = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 6)).map(
        lambda drawn: record(*drawn, 1 if (ord(drawn[0]) + drawn[1]) % 3 else 0)
    ),
    max_size=30,
)


@given(counted)
def test_what_counts_is_read_as_it_was_packed(each: Counted) -> None:
    packed = each.packed()
    assert len(packed) == COUNTED_BYTES
    assert unpacked(packed + b"more") == each


@pytest.mark.parametrize("packed", [b"", b"12345678", b"12345678\x02"])
def test_other_bytes_are_no_label(packed: bytes) -> None:
    with pytest.raises(ValueError, match="no label"):
        unpacked(packed)


@given(topics, st.data())
def test_any_turns_and_repeats_come_to_the_newest_of_each_id(
    topic: list[LabelledRecord], data: st.DataObject
) -> None:
    known: dict[str, Counted] = {}
    at = 0
    while at < len(topic):
        end = data.draw(st.integers(at + 1, len(topic)))
        begin = data.draw(st.integers(0, at))
        for change in changes(topic[begin:end], known):
            made = change.record.labelled
            before = known.get(made.transaction_id)
            assert before is None or before.version < made.version
            assert change.before == (before.label if before else None)
            assert change.is_of_label == (before is None or before.label != made.label)
            known[made.transaction_id] = Counted(made.version, made.label)
        at = end
    newest = {
        each.labelled.transaction_id: Counted(each.labelled.version, each.labelled.label)
        for each in sorted(topic, key=lambda each: each.labelled.version)
    }
    assert known == newest
    assert changes(topic, known) == []
