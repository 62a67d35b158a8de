"""A file of API keys, which may change while they are in use."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Final

from prometheus_client import Gauge

from fraudapp import metrics
from fraudapp.config import secret_files
from fraudapp.config.api_keys import Keys, parse

log = logging.getLogger(__name__)

EVERY: Final = 1.0
"""Seconds between two looks at the file."""

_refused: Final = Gauge(
    "fraud_api_keys_refused",
    "Whether the file of API keys cannot be taken as it is, so that those of before open: 1 or 0.",
    registry=metrics.registry,
)


class KeyFile:
    """The keys that a file held when it was looked at; if it cannot be read, those of before."""

    def __init__(self, path: Path, keys: Keys) -> None:
        self.keys = keys
        self._path = path
        self._seen: object = None

    def watch(self) -> None:
        """Look at it about every second, in a thread that ends with the process.

        On a mount that hangs a look may never return; nobody waits for it then.
        """
        threading.Thread(target=self._watch, name="key file", daemon=True).start()

    def look(self) -> None:
        """Read the keys again if the file is another one or was written to."""
        seen = self._status()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            keys = parse(secret_files.read(self._path))
        except ValueError as exc:
            self._refuse(exc)
        else:
            self._take(keys)

    def _take(self, keys: Keys) -> None:
        _refused.set(0)
        if keys != self.keys:
            log.info("the keys in %s are taken: %s", self._path, ", ".join(keys.names))
        self.keys = keys

    def _refuse(self, why: ValueError) -> None:
        _refused.set(1)
        log.error(
            "the keys in %s are not taken, and those of before still open, also what was "
            "taken out: %s",
            self._path,
            why,
        )

    def _watch(self) -> None:
        pause = threading.Event()
        while not pause.wait(EVERY):
            self.look()

    def _status(self) -> object:
        try:
            status = self._path.stat()
        except OSError as exc:
            return exc.errno
        return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
