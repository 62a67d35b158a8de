"""Removes damaged partitions of a table from disk; Faust then reads them from the changelog."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterable, Mapping

from faust.stores.rocksdb import Store
from faust.types import TP

from fraudapp.process.disk import IN_USE, DiskFull, discard, in_use, is_full

log = logging.getLogger(__name__)


Check = Callable[[int, bytes, bytes], None]
"""Raises an exception if an entry is invalid; called with its partition, key and value."""


async def repair(
    store: Store, partitions: Iterable[TP], ends: Mapping[TP, int], check: Check
) -> None:
    """Remove the partitions from disk that Faust could not start with.

    These are partitions that cannot be opened or read, that are ahead of the end of their changelog
    (`ends`), or that have an entry on which `check` raises. Faust would crash on them at every
    start. A partition that another process has open is only logged: Faust itself waits for it for
    a while. Blocks the event loop. Raises `DiskFull`.
    """
    for partition in partitions:
        path = store.partition_path(partition.partition)
        if wrong := _what_is_wrong(store, partition, ends.get(partition, 0), check):
            log.warning("%s %s: it is made anew from %s", path, wrong, partition.topic)
            store._dbs.pop(partition.partition, None)
            gc.collect()  # closes the database
            discard(path)


def _what_is_wrong(store: Store, partition: TP, end: int, check: Check) -> str | None:
    path = store.partition_path(partition.partition)
    try:
        store._db_for_partition(partition.partition)
    except Exception as exc:  # rocksdict raises nothing more precise
        if is_full(exc):
            raise DiskFull(path, exc) from exc
        if in_use(path):
            log.critical(IN_USE.format(path))
            return None
        return f"is damaged ({exc})"
    try:
        persisted = store.persisted_offset(partition)
        _read(store, partition, check)
    except Exception as exc:
        if is_full(exc):
            raise DiskFull(path, exc) from exc
        return f"is damaged ({exc})"
    if persisted is not None and persisted >= end:
        return f"has offset {persisted}, and the changelog ends at {end}"
    return None


def _read(store: Store, partition: TP, check: Check) -> None:
    """Check every entry; raises what `check` or RocksDB raises."""
    entries = store._db_for_partition(partition.partition).iter()
    entries.seek_to_first()
    while entries.valid():
        if entries.key() != store.offset_key:
            check(partition.partition, entries.key(), entries.value())
        entries.next()
    entries.status()  # raises if the iterator has ended at a damaged block
