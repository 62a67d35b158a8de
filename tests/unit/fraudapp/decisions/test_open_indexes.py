"""A damaged index is made anew once; one that is damaged again soon is on a bad disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fraudapp.decisions.batch import Batch
from fraudapp.decisions.index import DecisionIndex, IndexDamaged
from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.decisions.open_indexes import OpenIndexes
from fraudapp.process.disk import DiskFull, DiskUnusable
from fraudapp.settings import load
from tests.support.decisions import decision


@pytest.fixture
def indexes(tmp_path: Path) -> Iterator[OpenIndexes]:
    indexes = OpenIndexes(load({"FRAUD_DATA_DIR": str(tmp_path)}))
    indexes.make_folder()
    yield indexes
    indexes.close_all()


def opened(indexes: OpenIndexes, partition: int = 0) -> DecisionIndex:
    return indexes.open(LogIdentity("app", "decisions", partition, "id"), rests=False)


def test_what_is_open_is_known_by_its_partition(indexes: OpenIndexes) -> None:
    first, third = opened(indexes), opened(indexes, 2)
    first.extend(Batch([decision("a")]))
    assert [*indexes] == [first, third]
    assert indexes[2] is indexes.get(2) is third
    assert indexes.get(1) is None
    assert indexes.next_offsets == {0: 1, 2: 0}
    indexes.close(0)
    indexes.close(0)
    assert [*indexes] == [third]
    assert opened(indexes).find(["a"]).keys() == {"a"}


def test_a_damaged_one_is_thrown_away_once_and_opened_empty(
    indexes: OpenIndexes, caplog: pytest.LogCaptureFixture
) -> None:
    index = opened(indexes)
    index.extend(Batch([decision("a"), decision("b")]))
    damaged = IndexDamaged(index, "no such block")
    assert indexes.met(damaged) == [0]
    assert indexes.met(damaged) == []
    assert caplog.text.count("is made anew from partition 0") == 1
    assert (indexes.next_offsets, indexes.former_next_offsets) == ({}, {0: 2})
    assert opened(indexes).next_offset == 0


def test_the_furthest_next_offset_before_damage_is_kept(
    indexes: OpenIndexes, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("fraudapp.decisions.open_indexes.monotonic", lambda: now)
    for ids in ("abc", "a"):
        index = opened(indexes)
        index.extend(Batch([decision(each) for each in ids]))
        indexes.caught_up(0)
        indexes.met(IndexDamaged(index, "no such block"))
        now += 1_000.0
    assert indexes.former_next_offsets == {0: 3}


@pytest.mark.parametrize(("seconds", "is_bad"), [(59.0, True), (61.0, False)])
def test_damage_just_after_it_was_made_anew_ends_it(
    indexes: OpenIndexes, monkeypatch: pytest.MonkeyPatch, seconds: float, is_bad: bool
) -> None:
    now = 0.0
    monkeypatch.setattr("fraudapp.decisions.open_indexes.monotonic", lambda: now)
    indexes.met(IndexDamaged(opened(indexes), "no such block"))
    again = opened(indexes)
    now = 5_000.0  # however long it takes to read the log
    indexes.caught_up(0)
    now += seconds
    indexes.met(IndexDamaged(again, "no such block"))
    if is_bad:
        with pytest.raises(DiskUnusable, match=r"just after it was made anew.*FRAUD_DATA_DIR"):
            opened(indexes)
    else:
        assert opened(indexes).next_offset == 0
    assert opened(indexes, 1).next_offset == 0


def test_a_full_disk_is_that_of_the_index_in_its_folder(indexes: OpenIndexes) -> None:
    index, _ = opened(indexes, 3), opened(indexes, 1)
    assert indexes.met(DiskFull(index.folder, "no space")) == [3]
    assert indexes[3] is index
    assert indexes.met(DiskFull(index.folder.parent, "no space")) == []


def test_a_file_in_place_of_the_folder_is_replaced(tmp_path: Path) -> None:
    indexes = OpenIndexes(load({"FRAUD_DATA_DIR": str(tmp_path)}))
    (tmp_path / "ledger").write_text("no folder")
    indexes.make_folder()
    assert opened(indexes).next_offset == 0
    indexes.make_folder()
    indexes.close_all()
    assert [*indexes] == []
