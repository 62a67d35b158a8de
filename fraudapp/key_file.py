"""A file of API keys, which may change while they are in use."""

from __future__ import annotations

import logging
from pathlib import Path

from fraudapp import secret_files
from fraudapp.keys import Keys, parse

log = logging.getLogger(__name__)


class KeyFile:
    """The keys that a file holds now; if it cannot be read, those that it held last."""

    def __init__(self, path: Path, keys: Keys) -> None:
        self._path = path
        self._keys = keys
        self._seen: object = None

    def keys(self) -> Keys:
        """Return the keys, read again if the file is another one or was written to."""
        seen = self._look()
        if seen != self._seen:
            self._seen = seen
            try:
                keys = parse(secret_files.read(self._path))
            except ValueError as exc:
                log.warning(
                    "the keys in %s are not taken, those of before stay: %s", self._path, exc
                )
            else:
                if keys != self._keys:
                    log.info("the keys in %s are taken: %s", self._path, ", ".join(keys.names))
                self._keys = keys
        return self._keys

    def _look(self) -> object:
        try:
            status = self._path.stat()
        except OSError as exc:
            return exc.errno
        return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
