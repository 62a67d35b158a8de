"""Copies of a RocksDB that is open, as files: what a crash at this moment would leave of it.

RocksDB never changes a file of data, and its manifest names those that belong to the database. So
links to all files, made while the manifest does not change, are a copy. Whatever was written lately
and is not in a file yet is missing in it, with the offsets that go with it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import Final

from rocksdict import AccessType, Options, Rdict

PIECE_BYTES: Final = 2 << 20
"""Bytes of a file that are kept as one object, at most."""
_CURRENT: Final = "CURRENT"
"""Names the manifest; without it there is no database."""
_DATA: Final = "*.sst"
_CONFIG: Final = "rocksdict-config.json"
_ATTEMPTS: Final = 20
_DIGEST_BYTES: Final = 16


class FilesDiffer(Exception):
    """Files are not those of a database, or not those that were kept."""


def copy(folder: Path, target: Path) -> list[Path]:
    """Copy the database in `folder`, which may be open; returns the files, of which few are large.

    Blocks for some milliseconds. Raises `OSError` or `FilesDiffer`.
    """
    for _ in range(_ATTEMPTS):
        remove(target)
        target.mkdir(mode=0o700)
        try:
            before = _manifest(folder)
            for path in folder.glob(_DATA):
                _link(path, target / path.name)
            unchanged = _manifest(folder) == before
        except FileNotFoundError:  # it was merged into another one meanwhile
            continue
        if unchanged:
            (target / before[0]).write_bytes(before[1])
            (target / _CURRENT).write_text(f"{before[0]}\n")
            if (folder / _CONFIG).exists():
                shutil.copyfile(folder / _CONFIG, target / _CONFIG)
            return _named(target, before[0])
    raise FilesDiffer(f"{folder} did not rest long enough to be copied")


def read(folder: Path, key: bytes) -> bytes | None:
    """Return a value of the copy in a folder, which stays as it is; raises `FilesDiffer`."""
    try:
        with closing(_opened(folder)) as files:
            found: bytes | None = files.get(key)
            return found
    except Exception as exc:  # rocksdict raises nothing more precise
        raise FilesDiffer(f"{folder} is no database: {exc}") from exc


def adopt(folder: Path, files: Path) -> None:
    """Put files of a copy, from a folder within, in place of the database; raises `OSError`.

    It must not be open. After a crash meanwhile there is no database, or a damaged one.
    """
    (folder / _CURRENT).unlink(missing_ok=True)
    for path in folder.iterdir():
        if path == files:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for path in sorted(files.iterdir(), key=lambda path: path.name == _CURRENT):
        path.replace(folder / path.name)
    files.rmdir()


def pieces(path: Path) -> Iterator[bytes]:
    """Yield what a file holds, `PIECE_BYTES` at a time; raises `OSError`."""
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def digest(piece: bytes) -> str:
    """Return by what a piece is told from any other."""
    return blake2b(piece, digest_size=_DIGEST_BYTES).hexdigest()


def remove(folder: Path) -> None:
    """Remove a folder of files, if it is there; raises `OSError`."""
    if folder.exists():
        shutil.rmtree(folder)


def size(paths: Iterable[Path]) -> int:
    """Return the bytes of files; raises `OSError`."""
    return sum(path.stat().st_size for path in paths)


def _manifest(folder: Path) -> tuple[str, bytes]:
    name = (folder / _CURRENT).read_text().strip()
    return name, (folder / name).read_bytes()


def _link(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except FileNotFoundError:
        raise
    except OSError:  # not every file system has links
        shutil.copyfile(path, target)


def _named(target: Path, manifest: str) -> list[Path]:
    """Return the files of a copy; those that the manifest does not name are removed."""
    try:
        with closing(_opened(target)) as files:
            live = {Path(each["name"]).name for each in files.live_files()}
    except Exception as exc:  # rocksdict raises nothing more precise
        raise FilesDiffer(f"{target} is no database: {exc}") from exc
    kept = {*live, manifest, _CURRENT, _CONFIG}
    for path in target.iterdir():
        if path.name not in kept:
            path.unlink()
    return sorted(target.iterdir())


def _opened(folder: Path) -> Rdict:
    options = Options(raw_mode=True)
    options.set_max_open_files(16)
    return Rdict(str(folder), options, access_type=AccessType.read_only())
