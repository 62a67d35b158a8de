"""A RocksDB whose content follows from topics, and is read from them again if it is damaged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Final, cast

from msgspec import json
from rocksdict import Options, WriteBatch

from fraudapp.decisions.index_options import NO_WAL, options
from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.process.disk import DISK_RETRY, DISK_TIMEOUT, DiskFull, DiskUnusable, can_flush
from fraudapp.process.rocks import Damaged, FolderInUse, RocksFolder

log = logging.getLogger(__name__)

_IDENTITIES: Final = b"\x00identities"
_WRITE_BUFFER_BYTES: Final = 1 << 20
_decode_identities: Final = json.Decoder(list[LogIdentity]).decode


class DatabaseDamaged(Damaged):
    """The files of a database cannot be used; topics have all that they held."""

    def __init__(self, folder: Path, why: object) -> None:
        super().__init__(f"{folder} cannot be used ({why})")


DATABASE_FAILED: Final = (DatabaseDamaged, DiskFull, DiskUnusable, FolderInUse)
"""Errors that opening or using a database may raise."""


async def write_when_possible(write: Callable[[], None]) -> None:
    """Write, again until the disk takes it; raises `DiskFull` after `DISK_TIMEOUT`."""
    deadline = monotonic() + DISK_TIMEOUT
    while True:
        try:
            write()
        except DiskFull as exc:
            if not exc.heals or monotonic() > deadline:
                raise
        else:
            return
        await asyncio.sleep(DISK_RETRY)


class Database(RocksFolder):
    """A database in a folder; a subclass gives its keys a meaning.

    One that is damaged when it is opened, or is made of other topics, begins anew, empty. If damage
    shows later, every method that reads or writes raises `DatabaseDamaged`, and only `clear` and
    `close` work then. These methods raise `DiskFull` if the disk cannot be written to; the database
    is then unchanged.
    """

    def __init__(self, folder: Path, made_of: Sequence[LogIdentity], *, files: int) -> None:
        """Open it, or create an empty one; `made_of` are the topics from which it follows.

        RocksDB keeps at most so many `files` of data open. Raises one of `DATABASE_FAILED`.
        """
        super().__init__(folder)
        self._made_of = list(made_of)
        self._files = files
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._open()
        except DatabaseDamaged as exc:
            log.warning("%s: it is made anew from %s", exc, made_of[0].topic)
            self.clear()

    def _load(self) -> None:
        """Read what is kept in memory; any error means that the database is damaged."""

    def _options(self, files: int) -> Options:
        """Return how RocksDB is set, with so many files that are open at most."""
        chosen = options(files)
        chosen.set_write_buffer_size(_WRITE_BUFFER_BYTES)
        return chosen

    def _open(self) -> None:
        self._connect(self._options(self._files))
        try:
            with self._errors():
                self._check_identities()
                self._load()
        except Exception:
            with suppress(Exception):
                self._db.close()  # so that the next attempt can open it
            raise

    def _damaged(self, why: object) -> DatabaseDamaged:
        return DatabaseDamaged(self.folder, why)

    def _check_identities(self) -> None:
        (packed,) = self._get([_IDENTITIES])
        found = None if packed is None else _decode_identities(packed)
        self._identified = found == self._made_of
        if found is None:
            return
        if len(found) != len(self._made_of):
            raise ValueError("it is of another version")
        for was, is_ in zip(found, self._made_of, strict=True):
            if not was.is_same(is_):
                raise ValueError(f"it is of {was}, and the topic is {is_}")

    def close(self) -> None:
        """Flush and close, which blocks until the flush is done; raises nothing.

        What could not be flushed is read from the topics again.
        """
        try:
            if can_flush(self._db):
                self._db.flush()
            self._db.close()
        except Exception as exc:  # rocksdict raises nothing more precise
            log.warning("%s: not everything was written: %s", self.folder, exc)

    def has_room(self) -> bool:
        """Whether more may be taken in now, which a database on disk always can."""
        return True

    def flush(self) -> None:
        """Begin to flush what was written, unless RocksDB would have to wait for that."""
        with self._errors():
            if can_flush(self._db):
                self._db.flush(wait=False)

    def _first(self, prefix: bytes, count: int, begin: bytes = b"") -> list[bytes]:
        """Return the first values whose keys have a prefix, from prefix + `begin` on, in order."""
        entries = cast("Iterator[tuple[bytes, bytes]]", self._db.items(from_key=prefix + begin))
        found = []
        try:
            for key, value in islice(entries, count):
                if not key.startswith(prefix):
                    break
                found.append(value)
        finally:
            del entries  # an error would keep it, and it keeps the database open
        return found

    def _write(self, batch: WriteBatch) -> None:
        """Write a batch as a whole or not at all."""
        if not self._identified:
            batch.put(_IDENTITIES, json.encode(self._made_of))
        with self._errors():
            self._db.write(batch, NO_WAL)
        self._identified = True
