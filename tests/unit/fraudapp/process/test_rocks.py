"""Whatever RocksDB fails with, a database says whether it is full, in use or damaged."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from rocksdict import Options

from fraudapp.process.disk import DiskFull, DiskUnusable
from fraudapp.process.rocks import Damaged, FolderInUse, RocksFolder
from tests.support.damage import damage


class Kept(RocksFolder):
    """One value; `is_readable` says whether it can be read when the database opens."""

    is_readable = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._open()

    def put(self, value: bytes) -> None:
        with self._errors():
            self._db[b"key"] = value
            self._db.flush()

    def value(self) -> bytes | None:
        with self._errors():
            (found,) = self._get([b"key"])
            return found

    def fail(self, exc: Exception) -> None:
        with self._errors():
            raise exc

    def close(self) -> None:
        with suppress(Exception):
            self._db.close()

    def _open(self) -> None:
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        self._connect(options)
        if not self.is_readable:
            raise self._damaged("nothing can be read")

    def _damaged(self, why: object) -> Damaged:
        return Damaged(f"{self.folder} is damaged ({why})")


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path / "kept")
    kept.put(b"value")
    yield kept
    kept.close()


def test_what_is_kept_is_there_when_it_is_opened_again(kept: Kept) -> None:
    kept.close()
    again = Kept(kept.folder)
    assert again.value() == b"value"
    again.close()


def test_a_folder_is_open_once(kept: Kept) -> None:
    with pytest.raises(FolderInUse, match="give each its own FRAUD_DATA_DIR"):
        Kept(kept.folder)
    assert kept.value() == b"value"


def test_a_damaged_one_is_not_opened_and_is_empty_once_it_is_cleared(kept: Kept) -> None:
    kept.close()
    damage(kept.folder, "CURRENT", "garbled")
    with pytest.raises(Damaged, match="is damaged"):
        Kept(kept.folder)
    kept.clear()
    assert kept.value() is None


def test_after_it_was_thrown_away_only_clearing_works(kept: Kept) -> None:
    kept.throw_away()
    with pytest.raises(Damaged):
        kept.value()
    assert [*kept.folder.iterdir()] == []
    kept.clear()
    kept.put(b"new")
    assert kept.value() == b"new"


def test_an_empty_one_that_is_damaged_is_on_a_bad_disk(kept: Kept) -> None:
    kept.is_readable = False
    with pytest.raises(DiskUnusable, match=r"it was empty: the disk at FRAUD_DATA_DIR"):
        kept.clear()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE])
def test_what_passes_is_no_damage(kept: Kept, number: int) -> None:
    with pytest.raises(DiskFull, match="FRAUD_DATA_DIR"):
        kept.fail(OSError(f"IO error: {os.strerror(number)}"))
    with pytest.raises(Damaged, match="garbage"):
        kept.fail(ValueError("garbage"))
