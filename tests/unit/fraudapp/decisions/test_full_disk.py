"""A full disk leaves an index as it is, and the index goes on once there is room."""

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
from fraudapp.local.processes import POLL_INTERVAL
from fraudapp.process.disk import DiskFull
from tests.support.decisions import decision
from tests.support.small_disk import SmallDisk

pytestmark = pytest.mark.slow

BATCH = 500


def log() -> Iterator[list[LogRecord]]:
    """Yield batches of decisions that cannot be compressed, without end."""
    offset = 0
    while True:
        batch = []
        for _ in range(BATCH):
            each = decision(os.urandom(60).hex(), offset=offset)
            batch.append(LogRecord(offset, each, encode(each)))
            offset += 1
        yield batch


def applied(index: DecisionIndex, batch: list[LogRecord]) -> bool:
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
        time.sleep(POLL_INTERVAL)


def test_a_batch_that_a_full_disk_refuses_is_applied_once_there_is_room(
    small_disk: SmallDisk,
) -> None:
    index = DecisionIndex(small_disk.folder / "index")
    batches = log()
    index.apply(next(batches), BATCH)
    small_disk.fill()
    before, batch = b"", next(batches)
    while applied(index, batch):
        before, batch = state(index), next(batches)
    assert state(index) == before
    assert index.find([batch[0].decision.transaction_id]) == {}
    index.flush_if_idle()
    small_disk.make_room()
    until(lambda: applied(index, batch))
    assert sum(index.counts.values()) == index.next_offset == batch[-1].offset + 1
    index.close()
    with closing(DecisionIndex(small_disk.folder / "index")) as index:
        assert (index.made_anew, index.next_offset) == (False, batch[-1].offset + 1)


def test_an_index_that_cannot_be_opened_on_a_full_disk_is_not_thrown_away(
    small_disk: SmallDisk, caplog: pytest.LogCaptureFixture
) -> None:
    folder = small_disk.folder / "index"
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
