"""What lets Java start soon: an archive of the classes of a server."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Protocol

from fraudapp.local.processes import ProcessError
from fraudapp.local.server import Server
from tests.servers.jars import STARTS_SOON, Missing, archive_of, cache


class Maker(Protocol):
    """A kind of server that is written in Java."""

    def __call__(self, folder: Path, *, options: tuple[str, ...]) -> Server:
        """Return one in this folder, with these options of Java."""


def archive(profile: str, maker: Maker) -> bool:
    """Make the archive, of what a server has loaded when it answers; false if it was there."""
    target = archive_of(profile)
    if target.exists():
        return False
    with tempfile.TemporaryDirectory(prefix=f"{profile}-", dir=cache()) as folder:
        part = Path(folder) / "classes.jsa"
        server = maker(
            Path(folder) / profile, options=(*STARTS_SOON, f"-XX:ArchiveClassesAtExit={part}")
        )
        try:
            server.start()
            server.stop()
        except ProcessError as exc:
            raise Missing(str(exc)) from exc
        if not part.exists():
            raise Missing(f"Java has written no archive:\n{server.log.read_text()[-3000:]}")
        part.rename(target)  # whole or not at all
    return True
