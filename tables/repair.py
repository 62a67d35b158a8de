"""Throws away what is on disk of a table where it is of no use: all of it is in the changelog."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterable, Mapping

from faust.stores.rocksdb import Store
from faust.types import TP

from fraudapp.process.disk import IN_USE, DiskFull, discard, in_use, is_full

log = logging.getLogger(__name__)


Check = Callable[[int, bytes, bytes], None]
"""Raises what is wrong with an entry of a partition: its key, and its value."""


async def repair(
    store: Store, partitions: Iterable[TP], ends: Mapping[TP, int], check: Check
) -> None:
    """Remove partitions that cannot be opened or read, or are ahead of the end of their changelog.

    And those with an entry that `check` raises on. Faust would crash on the others, at every start
    anew. One that another process has open is left to Faust, which waits for it for a while; that
    it is in use is said here. Raises `DiskFull`.
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
    """Look at every entry; raises whatever is wrong with one."""
    entries = store._db_for_partition(partition.partition).iter()
    entries.seek_to_first()
    while entries.valid():
        if entries.key() != store.offset_key:
            check(partition.partition, entries.key(), entries.value())
        entries.next()
    entries.status()  # an iterator ends at a damaged block as it does after the last entry
