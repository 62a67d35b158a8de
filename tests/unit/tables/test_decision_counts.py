"""Counts of a partition are written by its owner, who may not know yet that it is not any more."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytest

from models.counts import Counted, Counts
from tables.decision_counts import OwnCounts, Progress
from tests.support.views import MemoryTable

DECISIONS = {"APPROVE": 3, "FLAG": 0, "BLOCK": 1}


@pytest.fixture
def table() -> MemoryTable[Counts]:
    return MemoryTable()


@pytest.fixture
def own(table: MemoryTable[Counts]) -> OwnCounts:
    return OwnCounts(cast(Any, table))


def progress(offset: int, *fates: str, decisions: dict[str, int] | None = None) -> Progress:
    """The last inputs up to an offset, each with its fate."""
    begin = offset - len(fates) + 1
    counted = [Counted(begin + place, fate) for place, fate in enumerate(fates)]
    return Progress(counted, offset, decisions or {})


async def test_counting_returns_once_the_changelog_has_the_counts(
    table: MemoryTable[Counts], own: OwnCounts
) -> None:
    await own.add(1, 2, progress(4, "duplicate", "invalid", decisions=DECISIONS))
    expected = Counts(4, {"duplicate": 1, "invalid": 1, **DECISIONS})
    assert table.events == [("write", 2, expected), ("delivered", 2)]


async def test_counts_go_on_from_what_the_owner_before_has_written(
    table: MemoryTable[Counts], own: OwnCounts
) -> None:
    table.values[0] = Counts(9, {"duplicate": 2, "APPROVE": 7}, "an-id", 5)
    await own.add(1, 0, progress(11, "duplicate", "conflict", decisions=DECISIONS))
    expected = Counts(11, {"duplicate": 3, "conflict": 1, **DECISIONS}, "an-id", 5)
    assert table.values[0] == expected


async def test_replayed_inputs_are_counted_once(table: MemoryTable[Counts], own: OwnCounts) -> None:
    await own.add(1, 0, progress(3, "duplicate", "duplicate"))
    await own.add(1, 0, progress(4, "duplicate", "duplicate", "duplicate"))
    assert table.values[0] == Counts(4, {"duplicate": 3})


async def test_within_a_generation_an_old_value_of_a_paused_worker_is_written_over(
    table: MemoryTable[Counts], own: OwnCounts
) -> None:
    await own.add(1, 0, progress(4, "duplicate"))
    table.values[0] = Counts(1, {"invalid": 1})  # by a worker that does not know yet
    own.refresh(1, {0: DECISIONS})
    assert table.values[0] == Counts(4, {"duplicate": 1, **DECISIONS})
    await own.add(1, 0, progress(5, "duplicate", decisions=DECISIONS))
    assert table.values[0] == Counts(5, {"duplicate": 2, **DECISIONS})


async def test_in_another_generation_the_value_is_taken_over_anew(
    table: MemoryTable[Counts], own: OwnCounts
) -> None:
    await own.add(1, 0, progress(4, "duplicate"))
    table.values[0] = Counts(20, {"duplicate": 9})  # by the owner in between
    await own.add(3, 0, progress(21, "duplicate"))
    assert table.values[0] == Counts(21, {"duplicate": 10})


async def test_each_partition_is_taken_over_by_itself(
    table: MemoryTable[Counts], own: OwnCounts
) -> None:
    await own.add(1, 0, progress(4, "duplicate"))
    table.values = {0: Counts(), 1: Counts(20, {"duplicate": 9})}
    await own.add(1, 1, progress(21, "duplicate"))
    await own.add(1, 0, progress(5, "duplicate"))
    assert table.values == {0: Counts(5, {"duplicate": 2}), 1: Counts(21, {"duplicate": 10})}


def test_refreshing_sets_totals_of_decisions_and_counts_no_input(
    table: MemoryTable[Counts], own: OwnCounts
) -> None:
    table.values = {0: Counts(9, {"duplicate": 2, "APPROVE": 1}), 1: Counts(3)}
    own.refresh(1, {0: DECISIONS, 1: {"BLOCK": 8}})
    assert table.values == {
        0: Counts(9, {"duplicate": 2, **DECISIONS}),
        1: Counts(3, {"BLOCK": 8}),
    }
    assert [event[0] for event in table.events] == ["write", "write"]  # nobody waits for these


async def test_a_topic_that_goes_on_is_begun_without_writing(
    table: MemoryTable[Counts], own: OwnCounts, caplog: pytest.LogCaptureFixture
) -> None:
    table.values[0] = Counts(9, {"duplicate": 2}, "an-id", 5)
    assert not own.has_begun(1, 0)
    await own.begin(1, 0, "an-id", end=12, next_offset=7)
    assert own.has_begun(1, 0)
    assert not own.has_begun(2, 0)
    assert not own.has_begun(1, 1)
    assert not table.events
    assert not caplog.records
    assert own.since(0) == 5


async def test_the_id_of_the_topic_is_kept_before_anything_of_it_is_decided(
    table: MemoryTable[Counts], own: OwnCounts
) -> None:
    await own.begin(1, 0, "an-id", end=0, next_offset=0)
    assert table.events == [("write", 0, Counts(topic_id="an-id")), ("delivered", 0)]


@pytest.mark.parametrize(
    ("topic_id", "end"), [("another-id", 50), ("another-id", 0), ("", 3)], ids=str
)
async def test_a_topic_made_anew_is_counted_from_its_beginning_and_totals_go_on(
    table: MemoryTable[Counts],
    own: OwnCounts,
    caplog: pytest.LogCaptureFixture,
    topic_id: str,
    end: int,
) -> None:
    table.values[0] = Counts(9, {"duplicate": 2, **DECISIONS}, "an-id")
    with caplog.at_level(logging.WARNING, "tables.decision_counts"):
        await own.begin(1, 0, topic_id, end=end, next_offset=4)
    begun = Counts(-1, {"duplicate": 2, **DECISIONS}, topic_id or "an-id", 4)
    assert table.events == [("write", 0, begun), ("delivered", 0)]
    assert own.since(0) == 4
    assert "counting goes on from offset 0, was at 10" in caplog.text
    await own.add(1, 0, progress(0, "duplicate", decisions=DECISIONS))
    assert table.values[0] == Counts(0, {"duplicate": 3, **DECISIONS}, topic_id or "an-id", 4)


async def test_nothing_is_begun_before_the_changelog_has_it(
    table: MemoryTable[Counts], own: OwnCounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(partition: int) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(table, "delivered", failing)
        with pytest.raises(ConnectionError):
            await own.begin(1, 0, "an-id", end=0, next_offset=0)
    assert not own.has_begun(1, 0)
