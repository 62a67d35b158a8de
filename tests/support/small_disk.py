"""A disk that can be full: a file system in memory, of a few megabytes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

from tests.servers.jars import Missing

_SUDO: Final = [] if os.geteuid() == 0 else ["sudo", "-n"]


class SmallDisk:
    """Mounted at a folder of its own until it is `removed`."""

    def __init__(self, folder: Path, megabytes: int = 64) -> None:
        """Raise `Missing` where nothing may be mounted."""
        self.folder = folder
        self._size = megabytes << 20
        folder.mkdir()
        options = f"size={self._size},mode=0777"
        if _failed(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]):
            raise Missing("mounting a file system needs root")

    def fill(self) -> None:
        """Leave no room, whatever is written meanwhile."""
        while (there := os.statvfs(self.folder)).f_bfree:
            self._resize((there.f_blocks - there.f_bfree) * there.f_frsize)

    def make_room(self) -> None:
        """Let it have the room that it had."""
        self._resize(self._size)

    def _resize(self, size: int) -> None:
        # Fails for less than what is in use by now.
        _failed(["mount", "-o", f"remount,size={size}", str(self.folder)])

    def remove(self) -> None:
        """Take it away, whoever still has files in it."""
        _failed(["umount", "--lazy", str(self.folder)])


def _failed(argv: list[str]) -> bool:
    return subprocess.run([*_SUDO, *argv], check=False, capture_output=True).returncode != 0
