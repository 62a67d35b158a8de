"""A RocksDB database in a folder, whose errors say whether it is full, in use or damaged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

from rocksdict import Options, Rdict

from fraudapp.process.disk import IN_USE, DiskFull, DiskUnusable, discard, in_use, is_full
from models.errors import NeedsOperator, Retryable


class FolderInUse(NeedsOperator):
    """Another process has this folder open; each worker needs its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(IN_USE.format(folder))


class Damaged(Retryable):
    """The files of a database cannot be used; topics have all that they held."""


class RocksFolder:
    """What all databases of a worker have in common; a subclass opens one, and reads what it has.

    If damage shows, every method that reads or writes raises a `Damaged`, and only `clear` and
    `throw_away` work then. They raise `DiskFull` if the disk cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _open(self) -> None:
        """Open what is in the folder, or an empty database; see `_connect`."""
        raise NotImplementedError

    def _damaged(self, why: object) -> Damaged:
        """Return the error that is raised for damage."""
        raise NotImplementedError

    def _connect(self, options: Options) -> None:
        """Open the database; raises `DiskFull`, `FolderInUse` or a `Damaged`."""
        try:
            self._db = Rdict(str(self.folder), options)
        except Exception as exc:  # rocksdict raises nothing more precise
            if is_full(exc):
                raise DiskFull(self.folder, exc) from exc
            if in_use(self.folder):
                raise FolderInUse(self.folder) from exc
            raise self._damaged(exc) from exc

    def clear(self) -> None:
        """Remove the database from disk, and open an empty one.

        Raises `DiskUnusable`, `DiskFull`, or `FolderInUse`.
        """
        self.throw_away()
        try:
            self._open()
        except Damaged as exc:
            raise DiskUnusable(
                f"{exc}, and it was empty: the disk at FRAUD_DATA_DIR is full or bad"
            ) from exc

    def throw_away(self) -> None:
        """Remove the database from disk; only `clear` works afterwards. Raises `DiskUnusable`."""
        with suppress(Exception):  # a damaged one may not be able to write its buffers
            self._db.close()
        discard(self.folder)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise errors of RocksDB, and of decoding, as `DiskFull` or a `Damaged`."""
        try:
            yield
        except Exception as exc:  # rocksdict raises nothing more precise
            if is_full(exc):
                raise DiskFull(self.folder, exc) from exc
            raise self._damaged(exc) from exc

    def _get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return cast("list[bytes | None]", self._db.get(list(keys))) if keys else []
