"""The bytes of a schema file, whatever it is that a name stands for."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from models.characters import legible
from models.schema import presets
from models.schema.reading import MAX_BYTES, SchemaError

_NO_FILE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
_MAX_SHOWN: Final = 200
"""Characters of a path in messages."""


def content_of(path: Path) -> bytes:
    """Return the bytes of a file, and no more than one too many; raises `SchemaError`.

    Only a file has an end that is sure to come, so pipes and devices are refused.
    """
    try:
        with open(path, "rb", opener=_opened) as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as exc:  # a ValueError is of a name that no file can have
        why = f"there is no such file; presets are {', '.join(presets.names())}"
        if isinstance(exc, OSError) and exc.errno not in _NO_FILE:
            why = f"cannot be read: {exc.strerror}"
        raise SchemaError(shown(path), [why]) from exc
    raise SchemaError(shown(path), ["is a pipe or a device: name a file"])


def shown(path: Path) -> str:
    """Return a path as messages have it."""
    text = legible(str(path))
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _opened(path: str, flags: int) -> int:
    """Open without waiting for somebody to write into a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)
