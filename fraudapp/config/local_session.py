"""The note a running embedded stack leaves, so that a second terminal finds its servers.

It holds their passwords, so it is for its owner only.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fraudapp.process.private_files import make_private
from models.errors import NeedsOperator

NAME = "local.json"


class AlreadyRunning(NeedsOperator):
    """A stack runs in this data folder."""


def running_settings(data_dir: Path) -> dict[str, str]:
    """Settings (`FRAUD_*`) of the stack that runs in this data folder; empty if none runs."""
    try:
        with (data_dir / NAME).open() as note:
            if _lock(note.fileno(), fcntl.LOCK_SH):
                return {}  # nobody holds it: that stack was killed
            return dict(json.load(note)["settings"])
    except (FileNotFoundError, json.JSONDecodeError):  # none, or one that is just being written
        return {}


@contextmanager
def announced(data_dir: Path, settings: Mapping[str, str]) -> Iterator[None]:
    """Leave the note while the body runs; raises `AlreadyRunning` if another stack has.

    The note is locked as long as its stack lives. A process id would do less: after a crash it may
    be anybody's.
    """
    path = data_dir / NAME
    make_private(data_dir)
    with open(path, "a+", opener=lambda name, flags: os.open(name, flags, 0o600)) as note:
        os.fchmod(note.fileno(), 0o600)  # it may be there from a version that let all read it
        if not _lock(note.fileno(), fcntl.LOCK_EX):
            raise AlreadyRunning(f"a stack runs in {data_dir} already")
        note.truncate(0)
        json.dump({"pid": os.getpid(), "settings": dict(settings)}, note, indent=2)
        note.flush()
        try:
            yield
        finally:
            path.unlink()


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
