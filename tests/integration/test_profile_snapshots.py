"""A worker with an empty disk begins with a snapshot, and comes to what the log has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import cast

import pytest

from fraudapp.local.server import Server
from fraudapp.profiles import restoring
from fraudapp.settings import load
from fraudapp.sinks.archive.archive import Archive, archive_at
from fraudapp.sinks.archive.folder import FolderArchive
from fraudapp.sinks.base import SinkUnavailable
from tests.conftest import topics_of
from tests.integration.test_profile_store import (
    PARTITIONS,
    Bench,
    Site,
    alike,
    eventually,
    ready,
    until,
)
from tests.servers.s3proxy import S3Proxy
from tests.support.remembered import SCHEMA


@pytest.fixture(params=["folder", "s3"])
async def archive(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Archive]:
    environment = {"FRAUD_ARCHIVE_URL": (tmp_path / "archive").as_uri()}
    if request.param == "s3":
        server = cast(S3Proxy, request.getfixturevalue("s3"))
        bucket = request.getfixturevalue("s3_bucket")
        environment = {**server.settings, "FRAUD_ARCHIVE_URL": f"s3://{bucket}/some/where"}
    found = archive_at(load(environment))
    yield found
    await found.close()


@pytest.fixture
def folder(tmp_path: Path) -> FolderArchive:
    return FolderArchive(tmp_path / "archive")


@pytest.fixture
async def bench(kafka: Server, topics: dict[str, str], tmp_path: Path) -> AsyncIterator[Bench]:
    (tmp_path / "shop.toml").write_text(SCHEMA)
    environment = {
        **topics,
        "FRAUD_BROKER_URL": kafka.url,
        "FRAUD_SCHEMA": str(tmp_path / "shop.toml"),
        "FRAUD_TOPIC_PARTITIONS": str(PARTITIONS),
        "FRAUD_BROKER_FETCH_WAIT": "0.05",
    }
    bench = Bench(environment, tmp_path)
    yield bench
    await bench.stop()


async def test_files_are_read_listed_and_removed(archive: Archive) -> None:
    assert await archive.keys("a") == []
    assert await archive.read("a/one") is None
    for key in ("a/one", "a/b/two", "ab/three"):
        await archive.write(key, key.encode(), "text/plain")
    assert sorted(await archive.keys("a")) == ["a/b/two", "a/one"]
    assert await archive.read("a/b/two") == b"a/b/two"
    for limit in (0, 3, 7, 8):
        assert await archive.read("a/b/two", limit) == b"a/b/two"[:limit]
    await archive.write("a/large", large := bytes(range(256)) * 20_000, "text/plain")
    assert await archive.read("a/large", len(large) - 1) == large[:-1]
    await archive.remove(["a/large"])
    assert await archive.read("a/none", 9) is None
    await archive.remove(["a/one", "a/b/two", "a/none"])
    await archive.remove([])
    assert await archive.keys("a") == []
    assert await archive.keys("ab") == ["ab/three"]


async def snapshot(site: Site, hours: float = 0.0) -> bool:
    """Let a worker look whether a snapshot is due, some hours from now."""
    assert site.profiles.snapshot_writer is not None
    now = datetime.now(timezone.utc) + timedelta(hours=hours)
    return await site.profiles.snapshot_writer.look(now)


async def decided(bench: Bench, archive: Archive) -> Site:
    """A worker that has decided something."""
    one = await bench.site("one", archive)
    await one.own(*range(PARTITIONS))
    await ready(one)
    for partition in range(PARTITIONS):
        assert await one.decide(partition, bench.made(partition, "C1", "C2"))
    return one


async def test_a_worker_with_an_empty_disk_goes_on_from_a_snapshot(
    bench: Bench, archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    one = await decided(bench, archive)
    assert await snapshot(one)
    assert await one.decide(0, bench.made(0, "C3"))
    assert not await snapshot(one)
    other = await bench.site("other", archive)
    await ready(other)
    assert "of profiles is loaded" in caplog.text
    await until(other, C1=4, C2=4, C3=1)
    assert alike(other, one)
    assert not await snapshot(other, hours=2)  # it does not own the first partition
    assert await snapshot(one, hours=2)


async def test_a_snapshot_is_due_after_many_decisions_as_well(
    bench: Bench, archive: Archive
) -> None:
    one = await bench.site("one", archive, FRAUD_PROFILE_SNAPSHOT_DECISIONS="1000")
    await one.own(*range(PARTITIONS))
    await ready(one)
    assert await one.decide(0, bench.made(0, *["C1"] * 900))
    assert await snapshot(one)
    assert await one.decide(1, bench.made(1, *["C1"] * 999))
    assert not await snapshot(one)
    assert await one.decide(2, bench.made(2, "C1"))
    assert await snapshot(one)
    assert not await snapshot(one)


async def test_profiles_that_are_cleared_go_on_from_a_snapshot(
    bench: Bench, folder: FolderArchive, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    one = await decided(bench, folder)
    assert await snapshot(one)
    await bench.stop(one)
    for path in (bench.folder / "one" / "profiles").glob("MANIFEST-*"):
        path.write_bytes(b"garbage")
    again = await bench.site("one", folder)
    await ready(again)
    assert "of profiles is loaded" in caplog.text
    await until(again, C1=4, C2=4)


@pytest.mark.parametrize("harm", ["changed", "lost", "manifest"])
async def test_of_a_damaged_snapshot_nothing_is_used(
    bench: Bench, folder: FolderArchive, caplog: pytest.LogCaptureFixture, harm: str
) -> None:
    one = await decided(bench, folder)
    assert await snapshot(one)
    (piece,) = (bench.folder / "archive").rglob("*.sst.0000")
    if harm == "lost":
        piece.unlink()
    elif harm == "changed":
        piece.write_bytes(bytes(piece.stat().st_size))
    else:
        next((bench.folder / "archive").rglob("manifest.json")).write_bytes(b"[]")
    other = await bench.site("other", folder)
    await ready(other)
    assert "is damaged" in caplog.text
    await until(other, C1=4, C2=4)
    assert alike(other, one)


async def test_a_snapshot_of_another_log_is_not_loaded(
    bench: Bench, folder: FolderArchive, caplog: pytest.LogCaptureFixture, unique: str
) -> None:
    caplog.set_level("INFO")
    one = await decided(bench, folder)
    assert await snapshot(one)
    # Under the same name of the application, there are other topics.
    bench.environment |= topics_of(f"{unique}-2") | {"FRAUD_APP_ID": one.settings.app_id}
    other = await bench.site("other", folder)
    await ready(other)
    assert "of profiles is loaded" not in caplog.text
    await until(other)


class Away(FolderArchive):
    """An archive that does not answer, or refuses."""

    refuses = False

    async def keys(self, folder: str) -> list[str]:
        if self.refuses:
            raise SinkUnavailable("it is away")
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.parametrize("refuses", [True, False])
async def test_an_archive_that_is_away_holds_nothing_up_for_long(
    bench: Bench,
    folder: FolderArchive,
    refuses: bool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(restoring, "FIND_TIMEOUT", 0.5)
    one = await decided(bench, folder)
    away = Away(bench.folder / "archive")
    away.refuses = refuses
    other = await bench.site("other", away)
    await ready(other)
    assert "no snapshot of the profiles is loaded" in caplog.text
    await until(other, C1=4, C2=4)
    assert alike(other, one)


async def test_without_hours_there_are_no_snapshots(bench: Bench, folder: FolderArchive) -> None:
    one = await bench.site("one", folder, FRAUD_PROFILE_SNAPSHOT_HOURS="0")
    await one.own(0)
    await eventually(lambda: one.profiles.is_ready)
    assert one.profiles.snapshot_writer is None
    assert await folder.keys("profiles") == []
