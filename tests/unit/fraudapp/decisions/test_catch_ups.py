"""Whatever a partition of the log holds is read into its index in order, and told once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from fraudapp.decisions import catch_ups as module
from fraudapp.decisions.batch import encode
from fraudapp.decisions.catch_ups import CatchUps, Read, Unread, write_when_possible
from fraudapp.decisions.index import DecisionIndex
from fraudapp.decisions.log_records import LogRecord
from fraudapp.decisions.reader import LogReader
from fraudapp.process.disk import DiskFull
from tests.support.decisions import decision

GAPS = {3, 7}
"""Offsets without a decision, such as those of the marks of transactions."""
LOG = [
    LogRecord(offset, each, encode(each))
    for offset, each in enumerate(decision(f"t{number}") for number in range(9))
    if offset not in GAPS
]


class ListReader:
    """Reads `LOG`, some records at a time."""

    def __init__(self) -> None:
        self.ranges: list[tuple[int, int]] = []

    async def read(self, partition: int, start: int, end: int) -> AsyncIterator[list[LogRecord]]:
        self.ranges.append((start, end))
        wanted = [each for each in LOG if start <= each.offset < end]
        for begin in range(0, len(wanted), 2):
            yield wanted[begin : begin + 2]


@pytest.fixture
def index(tmp_path: Path) -> Iterator[DecisionIndex]:
    with closing(DecisionIndex(tmp_path / "index")) as index:
        yield index


def catching_up(reader: ListReader, tell: Callable[[Read], None]) -> CatchUps:
    return CatchUps(cast(LogReader, reader), tell)


async def test_what_is_read_is_in_the_index_when_it_is_told(
    index: DecisionIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RECORDS_PER_TURN", 4)
    reader, told, read = ListReader(), list[int](), list[LogRecord]()

    def tell(each: Read) -> None:
        assert index.next_offset == each.end
        assert each.start == (told[-1] if told else 0)
        told.append(each.end)
        read.extend(each.records)

    catch_ups = catching_up(reader, tell)
    await catch_ups.read(0, index, 8)
    assert reader.ranges == [(0, 4), (4, 8)]
    assert [each.offset for each in read] == [0, 1, 2, 4, 5, 6]
    assert index.next_offset == 8  # past the gap at the end
    await catch_ups.read(0, index, 9)
    assert reader.ranges[2:] == [(7, 9)]  # from the last decision on
    assert told[-1] == index.next_offset == 9
    assert sum(index.counts.values()) == len(LOG)


async def test_how_much_is_left_is_known_until_it_is_over(
    index: DecisionIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 10.0
    monkeypatch.setattr(module, "monotonic", lambda: now)
    catch_ups = catching_up(ListReader(), lambda read: None)
    assert 0 not in catch_ups
    assert catch_ups.unread(0, 5) is None
    catch_ups.begin(0, 100, 500)
    assert 0 in catch_ups
    now = 20.0
    assert catch_ups.unread(0, 100) == Unread(400, None)
    assert catch_ups.unread(0, 300) == Unread(200, 10.0)
    catch_ups.over(0)
    catch_ups.over(0)
    assert catch_ups.unread(0, 300) is None


async def test_a_partition_that_a_process_began_is_read_on_and_its_end_moves(
    index: DecisionIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(module, "monotonic", lambda: now)
    catch_ups = catching_up(ListReader(), lambda read: None)
    catch_ups.begin(0, 0, 5)
    now = 9.0
    await catch_ups.read(0, index, 9)
    assert catch_ups.unread(0, 3) == Unread(6, 18.0)
    assert catch_ups.unread(0, index.next_offset) == Unread(0, 0.0)


async def test_a_write_is_tried_again_until_the_disk_is_full_for_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, left = 0.0, 5
    monkeypatch.setattr(module, "monotonic", lambda: now)
    monkeypatch.setattr(module, "DISK_RETRY", 0.0)

    def write() -> str:
        nonlocal now, left
        now += 1.0
        left -= 1
        if left >= 0:
            raise DiskFull(tmp_path, "no space")
        return "written"

    with pytest.raises(DiskFull):
        await write_when_possible(write)  # 3 s are over at the fourth time
    assert left == 1
    assert await write_when_possible(write) == "written"
