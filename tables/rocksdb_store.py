"""Faust's store on RocksDB, made to survive a full disk without crashing or blocking."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, cast

from faust.stores.rocksdb import Store
from faust.streams import current_event
from faust.types import TP, EventT
from rocksdict import WriteBatch, WriteOptions

from fraudapp.operation import Operation
from fraudapp.process.disk import DiskFull, is_full

_WRITE_OPTIONS: Final = WriteOptions()
# Otherwise RocksDB would block the event loop until the disk has room, or has caught up.
_WRITE_OPTIONS.no_slowdown = True
# No write-ahead log: the changelog topic is one. After RocksDB has failed to write its own, it
# refuses writes until it is opened anew, even if the disk has room again.
_WRITE_OPTIONS.disable_wal = True  # type: ignore[assignment, method-assign]


class RetryingStore(Store):
    """The store of a global table; holds values in memory that the disk refuses, and retries them.

    The next write of a partition includes them. There is one value for each input partition, so
    they need little memory. Values and the changelog offset that they were read up to are written
    together: the values on disk are never older than the offset on disk.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """See `Store`."""
        super().__init__(*args, **kwargs)
        self._held: defaultdict[int, dict[bytes, bytes]] = defaultdict(dict)
        # Written since RocksDB was opened; some of it may be in its memtable only.
        self._written: defaultdict[int, dict[bytes, bytes]] = defaultdict(dict)
        self.writing: Final = Operation(f"writing to {self.path}")
        """The state of writing to the disk."""

    def _set(self, key: bytes, value: bytes | None) -> None:
        event = cast(EventT[Any], current_event())
        self._write(event.message.partition, {key: value or b""})

    def persisted_offset(self, tp: TP) -> int | None:
        """See `Store.persisted_offset`; an offset held in memory counts as well."""
        held = self._held[tp.partition].get(self.offset_key)
        return super().persisted_offset(tp) if held is None else int(held)

    def set_persisted_offset(self, tp: TP, offset: int) -> None:
        """See `Store.set_persisted_offset`."""
        self._write(tp.partition, {self.offset_key: b"%d" % offset})

    def apply_changelog_batch(
        self,
        batch: Iterable[EventT[Any]],
        to_key: Callable[[Any], Any],
        to_value: Callable[[Any], Any],
    ) -> None:
        """See `Store.apply_changelog_batch`; keys are never deleted from our tables."""
        changes: defaultdict[int, dict[bytes, bytes]] = defaultdict(dict)
        for event in batch:
            message: Any = event.message
            changes[message.partition][message.key] = message.value
            changes[message.partition][self.offset_key] = b"%d" % message.offset
        for partition, changed in changes.items():
            self._write(partition, changed)

    def _write(self, partition: int, changes: dict[bytes, bytes]) -> None:
        held = self._held[partition]
        held.update(changes)
        writes = WriteBatch(raw_mode=True)
        for key, value in held.items():
            writes.put(key, value)
        self.writing.began()
        try:
            self._db_for_partition(partition).write(writes, _WRITE_OPTIONS)
        except Exception as exc:  # rocksdict raises nothing more precise
            if not is_full(exc):
                raise
            full = DiskFull(Path(self.path), exc)
            self.writing.failed(full)
            if not full.heals:
                self._dbs.pop(partition, None)  # it is reopened, and has lost its memtable
                self._held[partition] = {**self._written[partition], **held}
            return
        self._written[partition].update(held)
        held.clear()
        if not any(self._held.values()):
            self.writing.succeeded()

    def _get(self, key: bytes) -> bytes | None:
        for held in self._held.values():
            if key in held:
                return held[key]
        return super()._get(key)

    def _contains(self, key: bytes) -> bool:
        return self._get(key) is not None

    def _size(self) -> int:
        return len(dict(self._iteritems()))

    def _iterkeys(self) -> Iterator[bytes]:
        yield from dict(self._iteritems())

    def _itervalues(self) -> Iterator[bytes]:
        yield from dict(self._iteritems()).values()

    def _iteritems(self) -> Iterator[tuple[bytes, bytes]]:
        held = {k: v for each in self._held.values() for k, v in each.items()}
        held.pop(self.offset_key, None)
        yield from {**dict(super()._iteritems()), **held}.items()
