"""A disk that can be full: a file system in memory, of a few megabytes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

from tests.servers.jars import Missing

_SUDO: Final = [] if os.geteuid() == 0 else ["sudo", "-n"]
_PIECE: Final = 1 << 16


class SmallDisk:
    """Mounted at a folder of its own until it is `removed`."""

    def __init__(self, folder: Path, megabytes: int = 64) -> None:
        """Raise `Missing` where nothing may be mounted."""
        self.folder = folder
        folder.mkdir()
        options = f"size={megabytes}m,mode=0777"
        if _failed(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]):
            raise Missing("mounting a file system needs root")
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Take all the room there is."""
        with self._filler.open("ab", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(_PIECE))
            except OSError:
                pass

    def make_room(self) -> None:
        """Give it back."""
        self._filler.unlink()

    def remove(self) -> None:
        """Take it away, whoever still has files in it."""
        _failed(["umount", "--lazy", str(self.folder)])


def _failed(argv: list[str]) -> bool:
    return subprocess.run([*_SUDO, *argv], check=False, capture_output=True).returncode != 0
