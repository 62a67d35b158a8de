"""A disk without room changes nothing of an index, and takes it in when there is some."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from msgspec import msgpack

from fraudapp.decisions.batch import encode
from fraudapp.decisions.index import DecisionIndex
from fraudapp.decisions.log_records import LogRecord
from fraudapp.local.processes import POLL
from fraudapp.process.disk import DiskFull
from tests.small_disk import SmallDisk
from tests.unit.decisions import decision

BATCH = 500


def log() -> Iterator[list[LogRecord]]:
    """Batches of decisions that cannot be compressed, without end."""
    offset = 0
    while True:
        batch = []
        for _ in range(BATCH):
            each = decision(os.urandom(60).hex(), offset=offset)
            batch.append(LogRecord(offset, each, encode(each)))
            offset += 1
        yield batch


def taken(index: DecisionIndex, batch: list[LogRecord]) -> bool:
    try:
        index.apply(batch, batch[-1].offset + 1)
    except DiskFull:
        return False
    return True


def state(index: DecisionIndex) -> bytes:
    return msgpack.encode([index.next_offset, index.fingerprint, index.counts, index.activity])


def until(done: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(POLL)


def test_what_a_full_disk_does_not_take_is_taken_when_there_is_room(small_disk: SmallDisk) -> None:
    index = DecisionIndex(small_disk.folder / "ledger")
    batches = log()
    index.apply(next(batches), BATCH)
    small_disk.fill()
    before, batch = b"", next(batches)
    while taken(index, batch):
        before, batch = state(index), next(batches)
    assert state(index) == before
    assert index.find([batch[0].decision.transaction_id]) == {}
    index.flush_if_idle()
    small_disk.make_room()
    until(lambda: taken(index, batch))
    assert sum(index.counts.values()) == index.next_offset == batch[-1].offset + 1
    index.close()
    with closing(DecisionIndex(small_disk.folder / "ledger")) as index:
        assert (index.made_anew, index.next_offset) == (False, batch[-1].offset + 1)


def test_an_index_that_cannot_be_opened_on_a_full_disk_is_not_thrown_away(
    small_disk: SmallDisk, caplog: pytest.LogCaptureFixture
) -> None:
    folder = small_disk.folder / "ledger"
    with closing(DecisionIndex(folder)) as index:
        index.apply(next(log()), BATCH)
    small_disk.fill()
    for _ in range(3):
        with pytest.raises(DiskFull, match="is the disk at FRAUD_DATA_DIR full"):
            DecisionIndex(folder)
    small_disk.make_room()
    with closing(DecisionIndex(folder)) as index:
        assert (index.made_anew, index.next_offset) == (False, BATCH)
    assert not caplog.text
