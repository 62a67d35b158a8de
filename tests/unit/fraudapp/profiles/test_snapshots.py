"""A snapshot is whole, or is none; the last ones are kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from fraudapp.profiles import snapshots as module
from fraudapp.profiles.snapshot_files import FilesDiffer, copy
from fraudapp.profiles.snapshot_writer import SnapshotWriter
from fraudapp.profiles.snapshots import Manifest, Snapshots
from fraudapp.profiles.store import State
from fraudapp.sinks.archive.folder import FolderArchive
from fraudapp.sinks.base import SinkUnavailable
from tests.unit.fraudapp.profiles.shop import MADE_OF, NOW, folded, later, opened, paid, shop

VERSION = shop().profile_version
HOUR = timedelta(hours=1)


class Archive(FolderArchive):
    """A folder that can be away, and whose writes can fail after some."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.writes = 1_000_000

    async def write(self, key: str, body: bytes, content_type: str) -> None:
        self.writes -= 1
        if self.writes < 0:
            raise SinkUnavailable("it is away")
        await super().write(key, body, content_type)

    async def keys(self, folder: str) -> list[str]:
        if self.writes < 0:
            raise SinkUnavailable("it is away")
        return await super().keys(folder)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


@pytest.fixture
def snapshots(archive: Archive) -> Snapshots:
    return Snapshots(archive, "app", VERSION)


@pytest.fixture
def files(tmp_path: Path) -> Iterator[list[Path]]:
    profiles = folded(tmp_path / "p")
    profiles.apply(0, [paid(f"t{n}", f"C{n}") for n in range(300)], 300)
    profiles.write()
    profiles.store._db.flush()
    yield copy(tmp_path / "p", tmp_path / "copy")
    profiles.close()


def state(offset: int) -> State:
    return State(VERSION, {0: offset}, {})


def any_one(manifest: Manifest) -> bool:
    return True


async def test_what_was_written_is_loaded(
    snapshots: Snapshots, files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fraudapp.profiles.snapshot_files.PIECE_BYTES", 1_000)
    assert await snapshots.newest() is None
    assert await snapshots.find(any_one, but=set()) is None
    made = await snapshots.write(files, state(300), MADE_OF, NOW)
    assert await snapshots.newest() == NOW
    found = await snapshots.find(any_one, but=set())
    assert found is not None
    name, manifest = found
    assert manifest == made
    assert max(map(len, manifest.files.values())) > module.PARALLEL
    await snapshots.load(name, manifest, tmp_path / "incoming")
    for path in files:
        assert (tmp_path / "incoming" / path.name).read_bytes() == path.read_bytes()
    assert await snapshots.find(any_one, but={name}) is None
    with closing(opened(tmp_path / "other")) as store:
        store.replace((tmp_path / "incoming").rename(store.folder / "incoming"))
        assert store.state.decisions == {0: 300}


async def test_one_that_could_not_be_finished_is_none(
    snapshots: Snapshots, archive: Archive, files: list[Path]
) -> None:
    archive.writes = len(files)  # but not the manifest
    with pytest.raises(SinkUnavailable):
        await snapshots.write(files, state(300), MADE_OF, NOW)
    archive.writes = 1_000
    assert len(await archive.keys("profiles")) == len(files)
    assert await snapshots.newest() is None
    assert await snapshots.find(any_one, but=set()) is None


async def test_the_one_that_has_read_most_and_fits_is_found(
    snapshots: Snapshots, archive: Archive, files: list[Path]
) -> None:
    for hour, offset in enumerate([50, 300, 200]):
        await snapshots.write(files, state(offset), MADE_OF, NOW + hour * HOUR)
    await Snapshots(archive, "app", "another").write(files, state(999), MADE_OF, NOW)
    await Snapshots(archive, "app/2", VERSION).write(files, state(999), MADE_OF, NOW)
    found = await snapshots.find(any_one, but=set())
    assert found is not None
    assert found[1].state == state(300)
    found = await snapshots.find(lambda each: each.state.decisions[0] < 300, but=set())
    assert found is not None
    assert found[1].state == state(200)
    assert await snapshots.newest() == NOW + 2 * HOUR


@pytest.mark.parametrize("harm", ["changed", "lost", "manifest"])
async def test_a_damaged_one_is_told(
    snapshots: Snapshots, files: list[Path], tmp_path: Path, harm: str
) -> None:
    await snapshots.write(files, state(300), MADE_OF, NOW)
    found = await snapshots.find(any_one, but=set())
    assert found is not None
    (piece,) = (tmp_path / "archive").rglob("*.sst.0000")
    if harm == "manifest":
        next((tmp_path / "archive").rglob("manifest.json")).write_bytes(b"{")
        assert await snapshots.find(any_one, but=set()) is None
        return
    if harm == "lost":
        piece.unlink()
    else:
        piece.write_bytes(piece.read_bytes()[:-1] + b"?")
    with pytest.raises(FilesDiffer, match="damaged"):
        await snapshots.load(*found, tmp_path / "incoming")


async def test_the_last_ones_are_kept(
    snapshots: Snapshots, archive: Archive, files: list[Path]
) -> None:
    other = Snapshots(archive, "app", "another")
    for hour in range(5):
        await snapshots.write(files, state(hour), MADE_OF, NOW + hour * HOUR)
        await other.write(files, state(hour), MADE_OF, NOW + hour * HOUR)
    for late, at in ((False, NOW + 2 * HOUR), (True, NOW + 9 * HOUR)):
        archive.writes = 1
        with pytest.raises(SinkUnavailable):
            await snapshots.write(files, state(9), MADE_OF, at + timedelta(minutes=late))
        archive.writes = 1_000
    await archive.write("profiles/app/something-else", b"", "text/plain")
    await snapshots.prune()
    names = {key.split("/")[2] for key in await archive.keys("profiles")}
    hours = [(NOW + hour * HOUR).strftime("%Y%m%dT%H%M%SZ") for hour in (2, 3, 4)]
    unfinished = (NOW + 9 * HOUR + timedelta(minutes=1)).strftime("%Y%m%dT%H%M%SZ")
    assert names == {
        *(f"{hour}--{version}" for hour in hours for version in (VERSION, "another")),
        f"{unfinished}--{VERSION}",
        "something-else",
    }
    found = await snapshots.find(any_one, but=set())
    assert found is not None
    assert found[1].state == state(4)


class Turns:
    """A writer over profiles, in a worker that may be the one that writes."""

    def __init__(self, folder: Path, snapshots: Snapshots) -> None:
        self.profiles = folded(folder)
        self.is_mine = True
        self.writer = SnapshotWriter(snapshots, self.profiles, HOUR, 1_000, lambda: self.is_mine)

    async def look(self, seconds: float) -> bool:
        return await self.writer.look(later(seconds))


async def test_one_is_written_whenever_the_newest_is_old(
    snapshots: Snapshots, archive: Archive, tmp_path: Path
) -> None:
    turns = Turns(tmp_path / "p", snapshots)
    turns.profiles.apply(0, [paid("t1")], 1)
    assert await turns.look(0)
    assert not await turns.look(3_599)
    turns.profiles.apply(0, [paid("t2")], 2)
    turns.is_mine = False
    assert not await turns.look(3_601)
    turns.is_mine = True
    other = Turns(tmp_path / "other", snapshots)  # has nothing, which is no snapshot
    assert not await other.look(3_601)
    assert await turns.look(3_601)
    other.profiles.apply(0, [paid("t1")], 1)
    assert not await other.look(3_700)  # it has looked into the archive
    found = await snapshots.find(any_one, but=set())
    assert found is not None
    assert found[1].state.decisions == {0: 2}
    assert not (tmp_path / "p" / "outgoing").exists()
    turns.profiles.close()
    other.profiles.close()


async def test_an_archive_that_is_away_is_tried_again(
    snapshots: Snapshots, archive: Archive, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    turns = Turns(tmp_path / "p", snapshots)
    turns.profiles.apply(0, [paid("t1")], 1)
    for writes in (-1, 0, 1):
        archive.writes = writes
        assert not await turns.look(0)
        assert "writing a snapshot of the profiles into the archive" in caplog.text
        assert not (tmp_path / "p" / "outgoing").exists()
    archive.writes = 1_000
    assert await turns.look(20)
    assert await snapshots.newest() == datetime.fromisoformat("2026-05-20T12:00:20+00:00")
    turns.profiles.close()
