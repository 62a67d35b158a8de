"""Rows and files of labels follow from their records alone, however often these are read."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta, timezone
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st
from isal import igzip

from fraudapp.labels.records import LabelledRecord
from fraudapp.sinks.labels.archive import files_of
from fraudapp.sinks.labels.postgres import rows_of
from fraudapp.sinks.labels.store import unpurged
from models.labels.records import Said, Source, encode, labelled
from tests.support.decisions import decision

NOON: Final = datetime(2026, 3, 4, 12, tzinfo=timezone.utc)
IDS: Final = ("a", "b", "c")


def record(id_: str, version: int, partition: int, offset: int, days: int) -> LabelledRecord:
    """A record whose labels follow from its version, as they do from the topic of labels."""
    labels = {
        source: Said(label=1 if place % 2 else 0, at=NOON, by="x", offset=version - place)
        for place, source in enumerate(Source)
        if version >= place
    }
    made = labelled(decision(id_, decided_at=NOON + timedelta(days=days)), labels)
    return LabelledRecord(partition, offset, 0, made, encode(made))


records = st.lists(
    st.tuples(st.sampled_from(IDS), st.integers(0, 9)), max_size=30, unique=True
).map(
    lambda pairs: [
        record(id_, version, IDS.index(id_) % 2, offset, IDS.index(id_))
        for offset, (id_, version) in enumerate(pairs)
    ]
)


@given(records)
def test_the_rows_are_those_of_the_newest_record_of_each_id(given_records: Any) -> None:
    newest: dict[str, LabelledRecord] = {}
    for each in sorted(given_records, key=lambda each: each.labelled.version):
        newest[each.labelled.transaction_id] = each
    rows = rows_of(given_records)
    assert rows == sorted(rows)
    keys = [row[:2] for row in rows]
    assert len({*keys}) == len(keys)
    assert {*keys} == {
        (id_, source.value) for id_, each in newest.items() for source in each.labelled.labels
    }
    for id_, source, label, at, by, effective, partition, offset, version, decided_at in rows:
        found = newest[id_].labelled
        said = found.labels[Source(source)]
        assert (label, at, by, offset) == (said.label, said.at, said.by, said.offset)
        assert effective == (Source(source) is found.source)
        assert (partition, version) == (newest[id_].partition, found.version)
        assert decided_at == found.decision.decided_at


@given(records, st.randoms())
def test_rows_and_files_do_not_depend_on_order_and_repetition(
    given_records: list[LabelledRecord], chance: Any
) -> None:
    again = given_records + given_records[: len(given_records) // 2]
    chance.shuffle(again)
    assert rows_of(again) == rows_of(given_records)
    assert dict(files_of(again)) == dict(files_of(given_records))


@given(records)
def test_the_files_have_each_record_once_by_day_and_partition(
    given_records: list[LabelledRecord],
) -> None:
    lines = {}
    for key, content in files_of(given_records):
        root, day, partition, name = key.split("/")
        first, last = name.split("-")[:2]
        found = igzip.decompress(content).splitlines()  # type: ignore[no-untyped-call]
        offsets = []
        for line in found:
            (each,) = [it for it in given_records if it.encoded == line]
            offsets.append(each.offset)
            assert partition == f"partition={each.partition}"
            assert day == f"date={each.labelled.decision.decided_at.date()}"
            lines[each.offset] = line
        assert offsets == sorted(offsets)
        assert (root, int(first), int(last)) == ("labels", offsets[0], offsets[-1])
    assert lines == {each.offset: each.encoded for each in given_records}


def test_a_record_is_one_line_whatever_spaces_its_json_has() -> None:
    made = record("a", 3, 0, 7, 0)
    spaced = made._replace(encoded=json.dumps(json.loads(made.encoded), indent=1).encode())
    ((_, content),) = files_of([spaced])
    (line,) = igzip.decompress(content).splitlines()  # type: ignore[no-untyped-call]
    assert json.loads(line) == json.loads(made.encoded)


@given(records, st.none() | st.dates(date(2026, 3, 1), date(2026, 3, 9)))
def test_only_labels_of_days_that_were_not_purged_are_kept(
    given_records: list[LabelledRecord], before: date | None
) -> None:
    begin = datetime.combine(before or date.min, time(), timezone.utc)
    assert [*unpurged(given_records, before)] == [
        each for each in given_records if each.labelled.decision.decided_at >= begin
    ]
