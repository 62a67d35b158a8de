"""An index keeps the cells of its decisions, and writes only those that have changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rocksdict import Options, Rdict

from fraudapp.decisions import quality_cells
from fraudapp.decisions.batch import Batch, encode
from fraudapp.decisions.index import DecisionIndex
from fraudapp.decisions.log_records import LogRecord
from models.quality.cells import KEPT_WEEKS, Changes, DecisionCells
from models.records import Decision
from tests.support.decisions import DECIDED_AT, decision
from tests.unit.models.quality import recounted


def records(decisions: list[Decision], start: int = 0) -> list[LogRecord]:
    return [LogRecord(start + n, each, encode(each)) for n, each in enumerate(decisions)]


@settings(max_examples=30)
@given(recounted.many, st.data())
def test_an_index_that_is_opened_again_has_the_cells_of_its_decisions(
    decisions: list[Decision], data: st.DataObject
) -> None:
    expected = DecisionCells()
    expected.add(decisions)
    with TemporaryDirectory() as folder:
        while True:
            with closing(DecisionIndex(Path(folder) / "p")) as index:
                if (start := index.next_offset) == len(decisions):
                    break
                end = data.draw(st.integers(start + 1, len(decisions)))
                index.apply(records(decisions[start:end], start), end)
        assert index.quality == expected
        assert list(index.quality.weeks) == list(expected.weeks)


def test_of_two_decisions_under_one_id_the_first_is_counted(tmp_path: Path) -> None:
    with closing(DecisionIndex(tmp_path / "p")) as index:
        index.apply(records([decision("a"), decision("a", model_version="m2")]), 2)
        index.apply(records([decision("a", model_version="m2")], 2), 3)
        (week,) = index.quality.weeks.values()
        assert (list(week.versions), index.quality.rows) == (["m1"], 1)


def test_weeks_that_are_not_kept_are_deleted(tmp_path: Path) -> None:
    made = [
        decision(f"w{n}", decided_at=DECIDED_AT + timedelta(weeks=n)) for n in range(KEPT_WEEKS + 5)
    ]
    with closing(DecisionIndex(tmp_path / "p")) as index:
        index.apply(records(made[:3]), 3)
        index.apply(records(made[3:], 3), len(made))
        before = index.quality
    assert len(stored(tmp_path / "p")) == 2 * KEPT_WEEKS
    with closing(DecisionIndex(tmp_path / "p")) as index:
        assert index.quality == before
        assert index.quality.rows == len(made)


def test_only_what_has_changed_is_written() -> None:
    cells = DecisionCells()
    first = dict(quality_cells.entries(cells, cells.add([decision("a", hits=["r"])])))
    assert len(first) == 3
    second = dict(quality_cells.entries(cells, cells.add([decision("b")])))
    assert second.keys() == first.keys() - {quality_cells.KEY}
    other = decision("c", policy_version="2+1", decided_at=DECIDED_AT + timedelta(weeks=1))
    third = dict(quality_cells.entries(cells, cells.add([other])))
    assert len(third) == 3
    assert not (third.keys() - {quality_cells.KEY}) & first.keys()
    assert list(quality_cells.entries(cells, Changes())) == []


@pytest.mark.parametrize("key", [quality_cells.KEY, "a week", "a version"])
def test_an_index_without_all_cells_is_read_again_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, key: bytes | str
) -> None:
    with closing(DecisionIndex(tmp_path / "p")) as index:
        index.apply(records([decision("a")]), 1)
    version, week = stored(tmp_path / "p")
    with closing(Rdict(str(tmp_path / "p"), Options(raw_mode=True))) as files:
        files.delete({"a week": week, "a version": version}.get(str(key), key))
    with closing(DecisionIndex(tmp_path / "p")) as index:
        assert (index.next_offset, index.counts, index.quality) == (0, {}, DecisionCells())
        assert index.made_anew
    assert "it is read from the log again" in caplog.text


def test_an_index_that_a_version_without_cells_has_written_to_is_read_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(DecisionIndex(tmp_path / "p")) as index:
        index.apply(records([decision("a")]), 1)
        with monkeypatch.context() as without_cells:
            without_cells.setattr(quality_cells, "entries", lambda *_: ())
            index.extend(Batch([decision("b"), decision("c")]))
    with closing(DecisionIndex(tmp_path / "p")) as index:
        assert index.next_offset == 0
    assert "cells of 1 of 3 decisions, as by a version of the program without them" in caplog.text


def stored(folder: Path) -> list[bytes]:
    """The keys of cells that are on disk, in order."""

    def found() -> Iterator[bytes]:
        with closing(Rdict(str(folder), Options(raw_mode=True))) as files:
            for key in files.keys():  # noqa: SIM118
                assert isinstance(key, bytes)
                if key.startswith(quality_cells.PREFIX):
                    yield key

    return list(found())
