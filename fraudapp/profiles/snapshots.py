"""Snapshots of profiles in the archive: how they are named, written, found, loaded and removed.

    profiles/APPLICATION/MADE-AT--VERSION/FILE.NUMBER     a piece of a file
    profiles/APPLICATION/MADE-AT--VERSION/manifest.json   written last: what the snapshot is

They are files of RocksDB, compressed as there. Whatever is not whole is no snapshot.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Final
from urllib.parse import quote

from msgspec import DecodeError, Struct, json

from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.profiles.snapshot_files import FilesDiffer, digest, pieces, remove
from fraudapp.profiles.store import State
from fraudapp.sinks.archive.archive import Archive
from fraudapp.sinks.base import SinkUnavailable

log = logging.getLogger(__name__)

FOLDER: Final = "profiles"
KEPT: Final = 3
"""Snapshots that are kept, of each kind: of this version of profiles, and of all others."""
PARALLEL: Final = 4
"""Pieces that are read at a time."""
_MANIFEST: Final = "manifest.json"
_BINARY: Final = "application/octet-stream"
_MADE_AT: Final = "%Y%m%dT%H%M%SZ"
SNAPSHOT_FAILED: Final = (SinkUnavailable, FilesDiffer, OSError, asyncio.TimeoutError)
"""Errors that writing or loading a snapshot may raise."""


class Manifest(Struct):
    """What a snapshot is."""

    made_at: datetime
    state: State
    made_of: list[LogIdentity]
    bytes: int
    files: dict[str, list[str]]
    """Digests of the pieces of each file."""
    format: int = 1


_decode: Final = json.Decoder(Manifest).decode


class Snapshots:
    """The snapshots of one application and version; methods raise one of `SNAPSHOT_FAILED`."""

    def __init__(self, archive: Archive, application: str, version: str) -> None:
        self._archive = archive
        self._folder = f"{FOLDER}/{quote(application, safe='')}"
        self._version = quote(version, safe="")

    async def write(
        self,
        files: Sequence[Path],
        state: State,
        made_of: Sequence[LogIdentity],
        now: datetime,
    ) -> Manifest:
        """Write a snapshot of files, of a moment; it is there once this returns, or not at all."""
        name = f"{now.astimezone(timezone.utc).strftime(_MADE_AT)}--{self._version}"
        manifest = Manifest(now, state, list(made_of), 0, {})
        for path in files:
            digests = manifest.files[path.name] = []
            rest = pieces(path)
            while (piece := await asyncio.to_thread(next, rest, None)) is not None:
                key = f"{self._folder}/{name}/{_piece(path.name, len(digests))}"
                await self._archive.write(key, piece, _BINARY)
                digests.append(await asyncio.to_thread(digest, piece))
                manifest.bytes += len(piece)
        content = json.encode(manifest)
        await self._archive.write(f"{self._folder}/{name}/{_MANIFEST}", content, "application/json")
        return manifest

    async def newest(self) -> datetime | None:
        """Return when the newest snapshot of this version was made, by the name that it has."""
        moments = [_moment(each) for each in _complete(await self._listed()) if self._is_own(each)]
        return max(filter(None, moments), default=None)

    async def find(
        self, fits: Callable[[Manifest], bool], *, but: set[str]
    ) -> tuple[str, Manifest] | None:
        """Return the snapshot that has read most, of those that fit; with its name.

        Those with a name in `but` do not count, nor do those of which the manifest is damaged.
        """
        found: list[tuple[int, str, Manifest]] = []
        for name in _complete(await self._listed()):
            if not self._is_own(name) or name in but:
                continue
            content = await self._archive.read(f"{self._folder}/{name}/{_MANIFEST}")
            try:
                manifest = _decode(content or b"")
            except DecodeError as exc:
                log.warning("the snapshot %s of profiles is damaged: %s", name, exc)
                continue
            if manifest.format == 1 and fits(manifest):
                found.append((sum(manifest.state.decisions.values()), name, manifest))
        return max(found, key=lambda each: each[:2])[1:] if found else None

    async def load(self, name: str, manifest: Manifest, target: Path) -> None:
        """Load the files of a snapshot into a new folder."""
        remove(target)
        target.mkdir(mode=0o700)
        limit = asyncio.Semaphore(PARALLEL)

        async def piece(of: str, number: int, expected: str) -> bytes:
            async with limit:
                content = await self._archive.read(f"{self._folder}/{name}/{_piece(of, number)}")
            if content is None or await asyncio.to_thread(digest, content) != expected:
                raise FilesDiffer(f"piece {number} of {of} in snapshot {name} is damaged")
            return content

        for file, digests in manifest.files.items():
            with (target / Path(file).name).open("wb") as written:
                for begin in range(0, len(digests), PARALLEL):
                    some = digests[begin : begin + PARALLEL]
                    wanted = [piece(file, begin + at, each) for at, each in enumerate(some)]
                    for content in await asyncio.gather(*wanted):
                        await asyncio.to_thread(written.write, content)

    async def prune(self) -> None:
        """Remove all but the last snapshots, and what is left of others that were never whole."""
        listed = await self._listed()
        whole = sorted(_complete(listed))
        own = [each for each in whole if self._is_own(each)]
        others = [each for each in whole if not self._is_own(each)]
        # The newest of all may be one that another worker is writing.
        kept = {*own[-KEPT:], *others[-KEPT:], *sorted(listed)[-1:]}
        for name, files in listed.items():
            if name not in kept:
                root = f"{self._folder}/{name}/"
                if _MANIFEST in files:  # first, so that what is left is no snapshot
                    await self._archive.remove([root + _MANIFEST])
                await self._archive.remove([root + each for each in files if each != _MANIFEST])

    def _is_own(self, name: str) -> bool:
        return name.partition("--")[2] == self._version

    async def _listed(self) -> dict[str, list[str]]:
        """Return the names of files of each snapshot, whole or not."""
        found: dict[str, list[str]] = {}
        for key in await self._archive.keys(self._folder):
            name, _, file = key.removeprefix(f"{self._folder}/").partition("/")
            if file and _moment(name):
                found.setdefault(name, []).append(file)
        return found


def _complete(listed: Mapping[str, Sequence[str]]) -> list[str]:
    return [name for name, files in listed.items() if _MANIFEST in files]


def _piece(file: str, number: int) -> str:
    return f"{file}.{number:04d}"


def _moment(name: str) -> datetime | None:
    try:
        moment = datetime.strptime(name.partition("--")[0], _MADE_AT)
    except ValueError:
        return None
    return moment.replace(tzinfo=timezone.utc)
