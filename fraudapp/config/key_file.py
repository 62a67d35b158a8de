"""The file of API keys, which is watched so that keys change without a restart."""

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

POLL_INTERVAL: Final = 1.0
"""Seconds between two checks of the file."""

_refused: Final = Gauge(
    "fraud_api_keys_refused",
    "Whether the file of API keys cannot be used, so that the previous keys stay valid: 1 or 0.",
    registry=metrics.registry,
)


class KeyFile:
    """The keys of a file as of the last check; while it cannot be used, the last good ones."""

    def __init__(self, path: Path, keys: Keys) -> None:
        self.keys = keys
        self._path = path
        self._last_status: object = None

    def watch(self) -> None:
        """Check the file every `POLL_INTERVAL`, in a thread that ends with the process.

        On a mount that hangs, a check may never return. Only this thread waits for it.
        """
        threading.Thread(target=self._watch, name="key file", daemon=True).start()

    def look(self) -> None:
        """Read the keys again if the file was replaced or written to; blocks while it reads."""
        status = self._status()
        if status == self._last_status:
            return
        self._last_status = status
        try:
            keys = parse(secret_files.read(self._path))
        except ValueError as exc:
            self._reject(exc)
        else:
            self._accept(keys)

    def _accept(self, keys: Keys) -> None:
        _refused.set(0)
        if keys != self.keys:
            log.info("loaded the API keys in %s: %s", self._path, ", ".join(keys.names))
        self.keys = keys

    def _reject(self, why: ValueError) -> None:
        _refused.set(1)
        log.error(
            "the API keys in %s cannot be used; the previous ones stay valid, even those that were "
            "removed: %s",
            self._path,
            why,
        )

    def _watch(self) -> None:
        pause = threading.Event()
        while not pause.wait(POLL_INTERVAL):
            self.look()

    def _status(self) -> object:
        """Return a value that changes whenever the file does, or the error number."""
        try:
            status = self._path.stat()
        except OSError as exc:
            return exc.errno
        return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
