"""Each transaction counts under its newest label, however often the topic is read."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.decisions.recent import Unknowable
from fraudapp.labels.database import DatabaseDamaged
from fraudapp.labels.records import LabelledRecord
from fraudapp.quality.labelled import LabelledCellsStore, QualityLabels
from fraudapp.settings import load
from models.labels.records import Said, Source, encode, labelled
from models.quality.weeks import week_at
from models.records import Decision
from models.schema.schema import PAYSIM, preset
from tests.support.decisions import DECIDED_AT, decision
from tests.support.labels import read_to
from tests.unit.models.quality import recounted
from tests.unit.models.quality.test_labelled import as_recounted

MADE_OF = LogIdentity("app", "app-labelled", -1, "one id")
PARTITION = 3


def record(offset: int, each: Decision, label: int, version: int) -> LabelledRecord:
    said = Said(label=1 if label else 0, at=DECIDED_AT, by="ann", offset=version)
    made = labelled(each, {Source.ANALYST: said})
    return LabelledRecord(PARTITION, offset, 0, made, encode(made))


def opened(folder: Path) -> LabelledCellsStore:
    return LabelledCellsStore(folder, PAYSIM, MADE_OF)


def counted(store: LabelledCellsStore) -> dict[recounted.Key, tuple[int, int, int]]:
    found = store.cells(0)
    assert {partition for _, partition in found} <= {PARTITION}
    return as_recounted({week: cells for (week, _), cells in found.items()})


versions = st.lists(
    st.tuples(st.integers(0, 29), st.integers(0, 9), st.integers(0, 1)), min_size=1, max_size=40
)
"""Number of a decision, version, and what the label is at that version of other numbers."""


@settings(max_examples=30)
@given(recounted.many, versions, st.data())
def test_the_newest_version_counts_however_often_the_topic_is_read(
    decisions: list[Decision], told: Sequence[tuple[int, int, int]], data: st.DataObject
) -> None:
    labels = {(number, version): label for number, version, label in told}
    topic = [
        record(offset, decisions[number], labels[number, version], version)
        for offset, (number, version, _) in enumerate(told)
        if number < len(decisions)
    ]
    newest = {
        f"t{number}": labels[number, max(v for n, v in labels if n == number)]
        for number, _ in labels
    }
    with TemporaryDirectory() as name:
        read = 0
        while read < len(topic):
            with closing(opened(Path(name) / "quality")) as store:
                # After a crash, some of it may be read again.
                start = data.draw(st.integers(0, read))
                read = data.draw(st.integers(read + 1, len(topic)))
                store.apply(topic[start:read], {PARTITION: read_to(read)})
                assert store.next_offset(PARTITION) == read
        with closing(opened(Path(name) / "quality")) as store:
            assert store.next_offset(PARTITION) == read
            assert counted(store) == recounted.labelled(decisions, newest)


@pytest.mark.parametrize("amounts", [[1e15] * 200, [1e300, 1e300], [-5.0, 3.0], [1e308]])
def test_amounts_of_any_size_are_summed_up(tmp_path: Path, amounts: list[float]) -> None:
    made = [
        decision(f"t{place}", transaction=replace(decision().transaction, amount=each))
        for place, each in enumerate(amounts)
    ]
    records = [record(place, each, 1, place) for place, each in enumerate(made)]
    with closing(opened(tmp_path / "quality")) as store:
        store.apply(records, {PARTITION: read_to(len(records))})
        (week,) = store.cells(0).values()
        cells = next(iter(next(iter(week.versions.values())).values()))
    units = [each / 0.01 for each in amounts]
    assert sum(each.amounts.get("", 0) for each in cells) == sum(
        round(each) for each in units if isfinite(each)
    )


def test_cells_of_earlier_weeks_are_left_on_disk(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "quality")) as store:
        store.apply([record(0, decision(), 1, 0)], {PARTITION: read_to(1)})
        week = week_at(DECIDED_AT.timestamp())
        assert store.cells(week).keys() == {(week, PARTITION)}
        assert store.cells(week + 1) == {}


def test_a_store_of_another_unit_of_amounts_is_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(opened(tmp_path / "quality")) as store:
        store.apply([record(0, decision(), 1, 0)], {PARTITION: read_to(1)})
    with closing(LabelledCellsStore(tmp_path / "quality", preset("cards"), MADE_OF)) as store:
        assert (store.next_offset(PARTITION), store.cells(0)) == (0, {})
    assert "it is made anew from app-labelled" in caplog.text


async def test_damage_is_told_and_repaired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = QualityLabels(load({"FRAUD_DATA_DIR": str(tmp_path)}))
    with pytest.raises(Unknowable, match="try again"):
        labels.cells(DECIDED_AT.timestamp(), 13)
    with closing(opened(tmp_path / "quality")) as store:
        labels.store = store
        store.apply([record(0, decision(), 1, 0)], {PARTITION: read_to(1)})
        assert len(labels.cells(DECIDED_AT.timestamp(), 13)) == 1
        failures: list[DatabaseDamaged] = []
        monkeypatch.setattr(labels, "repair", failures.append)
        damaged = DatabaseDamaged(tmp_path, "a test")
        monkeypatch.setattr(store, "_first", lambda *_: _raise(damaged))
        with pytest.raises(Unknowable, match="try again"):
            labels.cells(DECIDED_AT.timestamp(), 13)
        assert len(failures) == 1
        labels.store = None
    await labels.on_stop()


def _raise(exc: Exception) -> None:
    raise exc
