"""S3 servers that differ from Amazon's, as a proxy before a real one."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any, cast

import pytest
from aiohttp import ThreadedResolver

from fraudapp.decisions.batch import Batch
from fraudapp.settings import SettingsError, load
from fraudapp.sinks.archive.archive import archive_at
from fraudapp.sinks.archive.s3 import S3Archive
from fraudapp.sinks.base import AccessDenied, DecisionRejected, SinkUnavailable
from models.schema.schema import PAYSIM
from tests.servers.odd_s3 import (
    OddS3,
    anything,
    every_other,
    for_checksums,
    of_bucket,
    of_many,
    of_upload,
    refuses,
)
from tests.servers.s3proxy import S3Proxy
from tests.support.decisions import decision

BATCH = Batch([decision(f"t{n}", offset=n, partition=n % 5) for n in range(50)])
TOMORROW = decision("t").decided_at.date() + timedelta(days=1)

Made = Callable[..., S3Archive]


@pytest.fixture
async def gate(s3: S3Proxy) -> AsyncIterator[OddS3]:
    gate = OddS3(s3.url)
    await gate.start()
    yield gate
    await gate.stop()


@pytest.fixture
async def made(gate: OddS3, s3: S3Proxy, s3_bucket: str) -> AsyncIterator[Made]:
    archives: list[S3Archive] = []

    def make(prefix: str = "", **changes: str) -> S3Archive:
        environment = {
            **s3.settings,
            "FRAUD_S3_ENDPOINT_URL": gate.url,
            "FRAUD_ARCHIVE_URL": f"s3://{s3_bucket}{prefix}",
            **changes,
        }
        archives.append(cast(S3Archive, archive_at(load(environment))))
        return archives[-1]

    yield make
    for each in archives:
        await each.close()


def saved(s3: S3Proxy, bucket: str) -> set[str]:
    """Ids in the files of a bucket, and that there is one file for each partition."""
    files = list((s3.folder / "buckets" / bucket).rglob("*.jsonl.gz"))
    lines = [line for each in files for line in gzip.decompress(each.read_bytes()).splitlines()]
    assert len(lines) == len(set(lines))
    return {PAYSIM.decode(line).transaction_id for line in lines}


IDS = {each.transaction_id for each in BATCH.decisions}


async def test_no_checksums_are_sent_that_other_servers_refuse(
    gate: OddS3, made: Made, s3: S3Proxy, s3_bucket: str
) -> None:
    gate.rules = [for_checksums]
    archive = made()
    await archive.open()
    await archive.save(BATCH)
    assert saved(s3, s3_bucket) == IDS
    assert await archive.purge(TOMORROW) == 5
    assert saved(s3, s3_bucket) == set()


@pytest.mark.parametrize(
    ("status", "code"),
    [(501, "NotImplemented"), (400, "MalformedXML"), (400, "InvalidRequest"), (405, "x")],
)
async def test_files_are_deleted_one_by_one_where_it_has_to_be(
    gate: OddS3, made: Made, s3: S3Proxy, s3_bucket: str, status: int, code: str
) -> None:
    gate.rules = [refuses(status, code, when=of_many)]
    archive = made("/some/prefix")
    await archive.open()
    await archive.save(BATCH)
    assert await archive.purge(TOMORROW, dry_run=True) == 5
    assert saved(s3, s3_bucket) == IDS
    assert await archive.purge(TOMORROW) == 5
    assert await archive.days() == []


async def test_deleting_that_is_forbidden_is_told_with_the_setting(
    gate: OddS3, made: Made, s3: S3Proxy, s3_bucket: str
) -> None:
    gate.rules = [refuses(403, "AccessDenied", when=of_many)]
    archive = made()
    await archive.open()
    await archive.save(BATCH)
    with pytest.raises(SinkUnavailable, match="FRAUD_S3_ACCESS_KEY_ID"):
        await archive.purge(TOMORROW)
    assert saved(s3, s3_bucket) == IDS


async def test_whoever_may_only_write_may_start_and_save(
    gate: OddS3, made: Made, s3: S3Proxy, s3_bucket: str
) -> None:
    gate.rules = [refuses(403, "AccessDenied", when=of_bucket)]
    archive = made("/prefix")
    await archive.make_bucket()
    await archive.open()
    await archive.ping()
    await archive.save(BATCH)
    await archive.write("reports/a.html", b"a", "text/html")
    assert saved(s3, s3_bucket) == IDS
    for forbidden in (archive.days(), archive.purge(TOMORROW)):
        with pytest.raises(SinkUnavailable, match="FRAUD_S3_ACCESS_KEY_ID"):
            await forbidden


async def test_whoever_may_not_write_either_is_refused_at_the_start(
    gate: OddS3, made: Made
) -> None:
    forbidden = refuses(403, "AccessDenied", when=of_upload)
    gate.rules = [refuses(403, "AccessDenied", when=of_bucket), forbidden]
    with pytest.raises(AccessDenied, match="FRAUD_S3_ACCESS_KEY_ID"):
        await made().open()


@pytest.mark.parametrize("when", [anything, of_upload])
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "RequestTimeTooSkewed"),
        (500, "InternalError"),
        (503, "SlowDown"),
        (503, "ServiceUnavailable"),
        (429, "TooManyRequests"),
        (400, "ExpiredToken"),
    ],
)
async def test_what_passes_stops_no_start(
    gate: OddS3, made: Made, when: Any, status: int, code: str
) -> None:
    gate.rules = [refuses(status, code, when=when)]
    if when is of_upload:
        gate.rules.append(refuses(403, "AccessDenied", when=of_bucket))
    with pytest.raises(SinkUnavailable) as failed:
        await made().open()
    assert not isinstance(failed.value, AccessDenied)


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (403, "AccessDenied", "FRAUD_S3_ACCESS_KEY_ID"),
        (404, "NoSuchBucket", "FRAUD_ARCHIVE_URL"),
        (503, "SlowDown", "SlowDown"),
        (500, "InternalError", "InternalError"),
        (403, "RequestTimeTooSkewed", "RequestTimeTooSkewed"),
        (507, "InsufficientStorage", "InsufficientStorage"),
        (400, "KeyTooLongError", "KeyTooLongError"),
    ],
)
async def test_no_decision_is_refused_for_what_a_server_says_and_all_is_kept_later(
    gate: OddS3, made: Made, s3: S3Proxy, s3_bucket: str, status: int, code: str, told: str
) -> None:
    archive = made()
    await archive.open()
    gate.rules = [refuses(status, code, when=of_upload)]
    try:
        with pytest.raises(SinkUnavailable, match=told):
            await archive.save(BATCH)
    except DecisionRejected as exc:
        raise AssertionError("its decisions would be dead letters") from exc
    gate.rules = []
    await archive.save(BATCH)
    assert saved(s3, s3_bucket) == IDS


async def test_a_server_that_is_at_its_limit_gets_all_with_patience(
    gate: OddS3, made: Made, s3: S3Proxy, s3_bucket: str
) -> None:
    archive = made()
    await archive.open()
    gate.rules = [every_other(503, "SlowDown", "PUT")]
    for attempt in range(20):
        try:
            await archive.save(BATCH)
            break
        except SinkUnavailable:
            assert attempt < 19
    assert saved(s3, s3_bucket) == IDS


@pytest.mark.parametrize(
    "prefix", ["", "/", "//", "/a", "/a/", "//a//b//", "/a b/ü/%20", "/a#b?c", "/a+b&c=d"]
)
async def test_whatever_the_prefix_is_called_it_is_where_everything_is(
    made: Made, s3: S3Proxy, s3_bucket: str, prefix: str
) -> None:
    archive = made(prefix)
    await archive.open()
    await archive.save(BATCH)
    top = s3.folder / "buckets" / s3_bucket
    folder = top.joinpath(*[part for part in prefix.split("/") if part])
    assert (folder / "decisions").is_dir()
    assert saved(s3, s3_bucket) == IDS
    assert await archive.days() == [TOMORROW - timedelta(days=1)]
    assert await archive.purge(TOMORROW) == 5
    assert saved(s3, s3_bucket) == set()


@pytest.mark.parametrize("slashes", ["/", "//"])
async def test_an_endpoint_may_end_with_slashes(
    made: Made, s3: S3Proxy, s3_bucket: str, slashes: str
) -> None:
    archive = made(FRAUD_S3_ENDPOINT_URL=s3.url + slashes)
    await archive.open()
    await archive.save(BATCH)
    assert saved(s3, s3_bucket) == IDS


async def test_an_endpoint_may_have_a_path(gate: OddS3, made: Made, s3_bucket: str) -> None:
    gate.rules = [refuses(503, "SlowDown", when=anything)]
    for end in ("/s3", "/s3/", "/s3//"):
        with pytest.raises(SinkUnavailable, match="503"):
            await made("/prefix", FRAUD_S3_ENDPOINT_URL=gate.url + end).open()
    assert gate.paths == [f"/s3/{s3_bucket}"] * 3


@pytest.mark.parametrize(
    ("addressing", "host"), [("path", "s3.test"), ("virtual", "bucket.s3.test")]
)
async def test_the_bucket_is_where_the_setting_says(
    gate: OddS3, made: Made, addressing: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def here(self: ThreadedResolver, name: str, *args: Any, **options: Any) -> Any:
        address = "127.0.0.1" if name.endswith("s3.test") else name
        return await resolve(self, address, *args, **options)

    # Below it may be either of two event loops, of which one resolves names in C.
    resolve = ThreadedResolver.resolve
    monkeypatch.setattr(ThreadedResolver, "resolve", here)
    gate.rules = [refuses(503, "SlowDown", when=anything)]
    port = gate.url.rpartition(":")[2]
    archive = made(
        FRAUD_S3_ENDPOINT_URL=f"http://s3.test:{port}",
        FRAUD_S3_ADDRESSING=addressing,
        FRAUD_ARCHIVE_URL="s3://bucket/prefix",
    )
    with pytest.raises(SinkUnavailable, match="503"):
        await archive.open()
    assert gate.hosts[-1] == f"{host}:{port}"
    with pytest.raises(SettingsError, match="FRAUD_S3_ADDRESSING"):
        load({"FRAUD_S3_ADDRESSING": "dns"})


async def test_an_endpoint_may_be_an_address_of_ipv6(gate: OddS3, made: Made) -> None:
    gate.rules = [refuses(503, "SlowDown", when=anything)]
    url = await gate.listen("::1")
    with pytest.raises(SinkUnavailable, match="503"):
        await made(FRAUD_S3_ENDPOINT_URL=url).open()
