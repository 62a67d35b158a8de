"""Throws away what is on disk of a table where it is of no use: all of it is in the changelog."""

from __future__ import annotations

import gc
import logging
import shutil
from collections.abc import Iterable, Mapping

from faust.stores.rocksdb import Store
from faust.types import TP

log = logging.getLogger(__name__)


async def mend(store: Store, partitions: Iterable[TP], ends: Mapping[TP, int]) -> None:
    """Remove partitions that cannot be opened, or are ahead of the end of their changelog.

    Faust would crash on either, at every start anew. One that another process has open is left to
    Faust, which waits for it and then says so.
    """
    for partition in partitions:
        path = store.partition_path(partition.partition)
        if path.exists() and (wrong := _what_is_wrong(store, partition, ends.get(partition, 0))):
            log.warning("%s %s: it is made anew from %s", path, wrong, partition.topic)
            store._dbs.pop(partition.partition, None)
            gc.collect()  # closes the database
            shutil.rmtree(path)


def _what_is_wrong(store: Store, partition: TP, end: int) -> str | None:
    try:
        persisted = store.persisted_offset(partition)
    except Exception as exc:  # rocksdict raises nothing more precise
        return None if "lock" in str(exc).lower() else f"is damaged ({exc})"
    if persisted is not None and persisted >= end:
        return f"has offset {persisted}, and the changelog ends at {end}"
    return None
