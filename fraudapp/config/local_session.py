"""The session file of a running embedded stack, so that a second terminal finds its servers.

It holds the passwords of the servers, so only its owner may read it.
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

FILE_NAME = "local.json"


class AlreadyRunning(NeedsOperator):
    """Another embedded stack runs in this data folder."""


def running_settings(data_dir: Path) -> dict[str, str]:
    """Return the settings (`FRAUD_*`) of the stack that runs in this data folder; empty if none.

    Raises `OSError`, or `ValueError` for a path that can be none.
    """
    try:
        with (data_dir / FILE_NAME).open() as file:
            if _lock(file.fileno(), fcntl.LOCK_SH):
                return {}  # a stack that lives holds the lock: this one was killed
            return dict(json.load(file)["settings"])
    except (FileNotFoundError, json.JSONDecodeError):  # no session, or one being written
        return {}


@contextmanager
def session_file(data_dir: Path, settings: Mapping[str, str]) -> Iterator[None]:
    """Keep the session file while the body runs; raises `AlreadyRunning` if another stack runs.

    The file is locked as long as its stack lives. A process id would prove less: after a crash it
    may belong to any process.
    """
    path = data_dir / FILE_NAME
    make_private(data_dir)
    with open(path, "a+", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        os.fchmod(file.fileno(), 0o600)  # an earlier version may have left it open to others
        if not _lock(file.fileno(), fcntl.LOCK_EX):
            raise AlreadyRunning(f"a stack runs in {data_dir} already")
        file.truncate(0)
        json.dump({"pid": os.getpid(), "settings": dict(settings)}, file, indent=2)
        file.flush()
        try:
            yield
        finally:
            path.unlink()


def _lock(descriptor: int, kind: int) -> bool:
    """Try to lock a file without waiting, and return whether that worked."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
