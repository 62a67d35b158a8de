"""Files and folders that only their owner can read, from the moment they exist."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import Final

_CONTENT: Final = {
    *("models", "samples", "ledger", "faust", "archive", "local", "local.json"),
    *("passwords.json", "lost+found"),
}
"""Names that a data folder may hold; `lost+found` is there if it is a file system of its own."""


def make_private(folder: Path) -> None:
    """Create a data folder, or close one of this user that others may enter.

    The folder of another user, such as a mounted volume, stays as it is. Raises `OSError`, also
    for a folder that others may enter and that is not for fraudapp alone.
    """
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.geteuid() or not found.st_mode & 0o077:
        return
    others = sorted({each.name for each in folder.iterdir()} - _CONTENT)
    if others or found.st_mode & stat.S_ISVTX:
        why = f" and holds {others[0]!r}" if others else ""
        raise PermissionError(
            f"{folder.resolve()} is open to other users{why}: it is not closed to them, since it "
            "is not for fraudapp alone; name a folder that is, or close it with chmod 700"
        )
    folder.chmod(found.st_mode & 0o7700)


def write_private(path: Path, content: str | bytes) -> None:
    """Write a file atomically and durably, in place of an existing one; a text is UTF-8 then.

    Raises `OSError`.
    """
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # mode 600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
