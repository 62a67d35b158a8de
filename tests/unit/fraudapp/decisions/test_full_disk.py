"""A disk without room changes nothing of a ledger, and takes it in when there is some."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from msgspec import msgpack

from fraudapp.decisions.batch import encode
from fraudapp.decisions.index import Ledger
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


def taken(ledger: Ledger, batch: list[LogRecord]) -> bool:
    try:
        ledger.apply(batch, batch[-1].offset + 1)
    except DiskFull:
        return False
    return True


def state(ledger: Ledger) -> bytes:
    return msgpack.encode([ledger.cursor, ledger.stamp, ledger.counts, ledger.activity])


def until(done: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(POLL)


def test_what_a_full_disk_does_not_take_is_taken_when_there_is_room(small_disk: SmallDisk) -> None:
    ledger = Ledger(small_disk.folder / "ledger")
    batches = log()
    ledger.apply(next(batches), BATCH)
    small_disk.fill()
    before, batch = b"", next(batches)
    while taken(ledger, batch):
        before, batch = state(ledger), next(batches)
    assert state(ledger) == before
    assert ledger.find([batch[0].decision.transaction_id]) == {}
    ledger.settle()
    small_disk.make_room()
    until(lambda: taken(ledger, batch))
    assert sum(ledger.counts.values()) == ledger.cursor == batch[-1].offset + 1
    ledger.close()
    with closing(Ledger(small_disk.folder / "ledger")) as ledger:
        assert (ledger.made_anew, ledger.cursor) == (False, batch[-1].offset + 1)


def test_a_ledger_that_cannot_be_opened_on_a_full_disk_is_not_thrown_away(
    small_disk: SmallDisk, caplog: pytest.LogCaptureFixture
) -> None:
    folder = small_disk.folder / "ledger"
    with closing(Ledger(folder)) as ledger:
        ledger.apply(next(log()), BATCH)
    small_disk.fill()
    for _ in range(3):
        with pytest.raises(DiskFull, match="is the disk at FRAUD_DATA_DIR full"):
            Ledger(folder)
    small_disk.make_room()
    with closing(Ledger(folder)) as ledger:
        assert (ledger.made_anew, ledger.cursor) == (False, BATCH)
    assert not caplog.text
