"""A broker that has forgotten what came since a copy, of one log or of everything."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.servers.kafka import Kafka


class Restorable:
    """Copies of a broker's folder, of which a part or the whole can be put back."""

    def __init__(self, kafka: Kafka, folder: Path) -> None:
        self._kafka = kafka
        self._folder = folder

    def copy(self) -> None:
        """Keep the folder as it is now; restarts the broker."""
        self._kafka.stop()
        shutil.copytree(self._data, self._folder)
        self._kafka.start()

    def put_back(self, *topics: str) -> None:
        """Put back these topics, or the whole broker, as copied; restarts the broker."""
        self._kafka.stop()
        for pattern in [f"{topic}-*" for topic in topics] or ["*"]:
            for path in self._data.glob(pattern):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            for path in self._folder.glob(pattern):
                target = self._data / path.name
                shutil.copytree(path, target) if path.is_dir() else shutil.copy2(path, target)
        self._kafka.start()

    @property
    def _data(self) -> Path:
        return self._kafka.folder / "data"
