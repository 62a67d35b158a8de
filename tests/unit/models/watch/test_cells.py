"""Cells of partitions add up in any order, and only the last days are kept."""

from __future__ import annotations

from datetime import datetime, timezone

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from models.watch.cells import KEPT_DAYS, MAX_VERSIONS, Cell, Days, day_of, name_of, summed

small = st.integers(0, 9)
cells = st.builds(
    lambda rows, features, scores: Cell(
        rows=rows, score=rows, scores=scores, bins="b", features=[features]
    ),
    small,
    st.lists(small, min_size=3, max_size=3),
    st.lists(small, min_size=9, max_size=9),
)
counted = st.lists(st.tuples(st.integers(0, 3), st.sampled_from("mn"), cells), max_size=12)


@given(counted=counted, split=st.integers(0, 12))
def test_it_does_not_matter_which_partition_has_counted(
    counted: list[tuple[int, str, Cell]], split: int
) -> None:
    one, first, second = Days(), Days(), Days()
    for at, each in enumerate(counted):
        one.add(*each)
        (first if at < split else second).add(*each)
    assert summed([first.days, second.days]) == summed([one.days])
    assert summed([second.days, first.days]) == summed([one.days])


@given(counted=counted)
def test_adding_up_leaves_the_parts_as_they_are(counted: list[tuple[int, str, Cell]]) -> None:
    days = Days()
    for each in counted:
        days.add(*each)
    before = msgspec.json.encode(days)
    found = summed([days.days, days.days])
    for day in found.values():
        for cell in day.values():
            cell.add(cell)
    assert msgspec.json.encode(days) == before


def test_the_days_that_were_counted_in_last_are_kept() -> None:
    days = Days()
    for number in (90_000, *range(KEPT_DAYS), 1):  # the first of a clock that is ahead
        days.add(number, "m", Cell(rows=1))
    assert sorted(days.days) == list(range(KEPT_DAYS))
    days.add(70, "m", Cell(rows=1))
    assert 0 not in days.days
    assert days.days[1]["m"].rows == 2


def test_a_day_has_a_limited_number_of_models() -> None:
    days = Days()
    for version in range(MAX_VERSIONS + 3):
        days.add(1, str(version), Cell(rows=1))
    assert len(days.days[1]) == MAX_VERSIONS


def test_cells_of_other_bins_add_up_but_for_features() -> None:
    old, new = Cell(rows=2, blocks=1, bins="a", features=[[1, 1]]), Cell(rows=3, blocks=1)
    new.bins, new.features = "b", [[1, 1, 1]]
    old.add(new)
    assert (old.rows, old.blocks, old.bins, old.features) == (5, 2, "b", [[1, 1, 1]])
    old.add(Cell(rows=1, bins="c", features=[[1]]))
    assert (old.rows, old.bins) == (6, "b")


def test_what_was_encoded_is_read_again() -> None:
    days = Days()
    days.add(5, "m", Cell(rows=1, bins="b", features=[[0, 1]]))
    assert msgspec.json.decode(msgspec.json.encode(days), type=Days) == days


def test_days_are_those_of_utc() -> None:
    assert name_of(day_of(datetime(2026, 3, 2, 23, 59, tzinfo=timezone.utc))) == "2026-03-02"
    assert name_of(10**9) == "9999-12-31"


def test_a_strangers_cell_with_other_features_than_its_bins_say_is_no_error() -> None:
    mine, theirs = Cell(rows=5, bins="b", features=[[1, 4]]), Cell(rows=2, bins="b", features=[[2]])
    mine.add(theirs)
    assert (mine.rows, mine.features) == (7, [[1, 4]])
