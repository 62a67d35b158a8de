"""Values that a full disk refuses are readable meanwhile, and are on disk later."""

from __future__ import annotations

import gc
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import faust
import pytest
from faust.types import TP, EventT

from fraudapp.process.disk import DiskFull
from tables.repair import repair
from tables.rocksdb_store import RetryingStore
from tests.support.small_disk import SmallDisk

pytestmark = pytest.mark.slow

CHANGELOG = "app-blocks-changelog"
PARTITIONS = range(3)


def new_store(folder: Path) -> RetryingStore:
    app = faust.App("app", datadir=folder, store="rocksdb://?driver=rocksdict")
    store = RetryingStore(
        "rocksdb://?driver=rocksdict",
        app,
        app.GlobalTable("blocks", key_type=int),
        table_name="blocks",
        key_type=int,
        key_serializer="json",
        value_serializer="json",
        value_type=None,
        options={"write_buffer_size": 64 << 10},  # RocksDB's least
    )
    store.path.mkdir(parents=True, exist_ok=True)
    return store


def apply(store: RetryingStore, key: int, value: int, offset: int) -> None:
    """Apply a record of the changelog; its partition is its key."""
    tp = TP(CHANGELOG, key)
    message = SimpleNamespace(
        tp=tp, partition=key, offset=offset, key=b"%d" % key, value=b"%d" % value
    )
    event = cast(EventT[Any], SimpleNamespace(message=message))
    store.apply_changelog_batch([event], lambda key: key, lambda value: value)


def contents(store: RetryingStore) -> dict[int, int]:
    there = dict(store.items())
    assert set(store) == set(store.keys()) == there.keys()
    assert len(store) == len(there)
    assert sorted(store.values()) == sorted(there.values())
    assert {key: store[key] for key in PARTITIONS if key in store} == there
    return cast(dict[int, int], there)


def offsets(store: RetryingStore) -> list[int | None]:
    """Return the changelog offset on disk of each partition."""
    found = [store._db_for_partition(each).get(store.offset_key) for each in PARTITIONS]
    return [None if each is None else int(each) for each in found]


def test_a_full_disk_is_not_noticed_in_what_a_table_tells(small_disk: SmallDisk) -> None:
    store = new_store(small_disk.folder)
    told: dict[int, int] = {}
    at = dict.fromkeys(PARTITIONS, 0)

    def change(times: int) -> None:
        for value in range(times):
            key = value % len(PARTITIONS)
            told[key] = value + sum(at.values())
            apply(store, key, told[key], at[key])
            at[key] += 1
            assert contents(store) == told

    change(10)
    before = offsets(store)
    small_disk.fill()
    while not store.writing.reason:
        change(100)
    assert "FRAUD_DATA_DIR full" in store.writing.reason
    assert offsets(store) < [each - 1 for each in at.values()]
    small_disk.make_room()
    while store.writing.reason:
        change(len(PARTITIONS))
    assert offsets(store) == [each - 1 for each in at.values()]
    assert before < offsets(store)
    close(store)
    assert contents(opened(small_disk.folder)) == told


def close(store: RetryingStore) -> None:
    store._dbs.clear()
    gc.collect()


def opened(folder: Path) -> RetryingStore:
    store = new_store(folder)
    for partition in PARTITIONS:
        store._db_for_partition(partition)
    return store


async def test_a_table_that_cannot_be_opened_on_a_full_disk_is_left_alone(
    small_disk: SmallDisk,
) -> None:
    store = new_store(small_disk.folder)
    for key in PARTITIONS:
        apply(store, key, key, 5)
    close(store)
    small_disk.fill()
    partitions = [TP(CHANGELOG, partition) for partition in PARTITIONS]
    store = new_store(small_disk.folder)
    with pytest.raises(DiskFull, match="FRAUD_DATA_DIR full"):
        await repair(store, partitions, dict.fromkeys(partitions, 6), lambda *entry: None)
    small_disk.make_room()
    await repair(store, partitions, dict.fromkeys(partitions, 6), lambda *entry: None)
    assert contents(store) == {key: key for key in PARTITIONS}
