"""Counts are those of the whole cluster: a page for people, JSON for programs, and a stream."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path

import aiohttp
import aiohttp.web
import pytest

from fraudapp.config.api_keys import parse
from models.activity import Activity
from models.counts import Counts
from tables.heartbeats import Heartbeat, SinkStatus
from tests.support.decisions import decision
from tests.support.views import PATIENCE, Client, ViewBench, view_bench
from web import overview, stats

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
SECRET, ANOTHER = "a-secret-of-a-reader-1", "a-secret-of-a-reader-2"


def heartbeat(worker: str, at: float, high_water: int | None, **more: float) -> Heartbeat:
    activity = Activity()
    activity.add([decision(f"by-{worker}-at-{at}")])
    return Heartbeat(
        worker=worker,
        at=at,
        cursor=3,
        high_water=high_water,
        latency={"p50": at},
        stores={"redis": SinkStatus(int(at), False)},
        model_version="m",
        policy_version="p",
        activity=activity,
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture
def counted(bench: ViewBench) -> ViewBench:
    """Three partitions have counts; two workers have told of two each."""
    bench.tables.counts.values = {
        0: Counts(9, {"APPROVE": 5, "BLOCK": 2, "duplicate": 2, "conflict": 1}),
        1: Counts(4, {"FLAG": 3, "invalid": 2}),
        2: Counts(0, {"APPROVE": 1}),
    }
    bench.tables.heartbeats.values = {
        0: heartbeat("one:1", 20.0, 12),
        1: heartbeat("other:2", 30.0, None),
        2: heartbeat("one:1", 21.0, 1),
        3: heartbeat("other:2", 29.0, 8, unread=6, unread_seconds=1.5),
    }
    return bench


async def test_programs_get_the_sums_of_all_partitions(counted: ViewBench, client: Client) -> None:
    async with client.get("/stats") as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")
        assert "Accept" in answer.headers["Vary"]
        assert await answer.json() == {
            "decisions": {"total": 11, "APPROVE": 6, "FLAG": 3, "BLOCK": 2},
            "duplicates": 2,
            "dead_letters": {"total": 3, "conflict": 1, "invalid": 2},
            "partitions": {"0": 9, "1": 4, "2": 0},
            "model_version": "model-of-a-test",
            "policy_version": counted.parts.control.in_force.version,
        }


async def test_people_get_a_page_that_shows_no_numbers_by_itself(
    counted: ViewBench, client: Client
) -> None:
    async with client.get("/stats", headers=BROWSER) as answer:
        page = await answer.text()
    assert (answer.status, answer.content_type) == (200, "text/html")
    assert "Accept" in answer.headers["Vary"]
    assert "/static/stats.js" in page
    assert "model-of-a-test" not in page


async def test_details_have_the_latest_heartbeat_of_every_worker(
    counted: ViewBench, client: Client
) -> None:
    async with client.get("/stats/details") as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")
        details = await answer.json()
    assert details["stats"]["decisions"]["total"] == 11
    assert details["partitions"] == [
        partition(0, "one:1", 9, 2),
        partition(1, "other:2", 4, None),
        partition(2, "one:1", 0, 0),
        partition(3, "other:2", -1, 8) | {"unread": 6, "unread_seconds": 1.5},
    ]
    # Of each worker what it has told last.
    told = {each["name"]: each for each in details["workers"]}
    assert {name: each["partitions"] for name, each in told.items()} == {
        "one:1": [0, 2],
        "other:2": [1, 3],
    }
    assert {name: each["at"] for name, each in told.items()} == {"one:1": 21.0, "other:2": 30.0}
    assert told["other:2"]["latency"] == {"p50": 30.0}
    assert told["other:2"]["stores"] == {"redis": {"behind": 30, "down": False}}
    ids = {each["transaction_id"] for each in details["recent"]["blocked"]}
    assert ids == {
        "by-one:1-at-20.0",
        "by-one:1-at-21.0",
        "by-other:2-at-30.0",
        "by-other:2-at-29.0",
    }


def partition(number: int, worker: str, offset: int, lag: int | None) -> dict[str, object]:
    told = {"number": number, "worker": worker, "offset": offset, "lag": lag}
    return {**told, "unread": 0, "unread_seconds": None}


@pytest.mark.parametrize(("fresh", "seen"), [(math.inf, 11), (-1.0, 12)])
async def test_encoded_details_are_reused_while_they_are_fresh(
    counted: ViewBench,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    fresh: float,
    seen: int,
) -> None:
    monkeypatch.setattr(overview, "CACHE_SECONDS", -1.0)
    async with client.get("/stats/details") as answer:
        assert (await answer.json())["stats"]["decisions"]["total"] == 11
    monkeypatch.setattr(overview, "CACHE_SECONDS", fresh)
    counted.tables.counts.values[3] = Counts(0, {"APPROVE": 1})
    async with client.get("/stats/details") as answer:
        assert (await answer.json())["stats"]["decisions"]["total"] == seen
    async with client.get("/stats") as answer:  # the counts themselves are never old
        assert (await answer.json())["decisions"]["total"] == 12


@pytest.mark.parametrize("path", ["/stats", "/stats/details", "/stats/stream"])
@pytest.mark.parametrize("table", ["counts", "heartbeats"])
async def test_a_worker_that_has_not_recovered_its_tables_answers_no_counts(
    bench: ViewBench, client: Client, path: str, table: str
) -> None:
    getattr(bench.tables, table).recovered = False
    async with client.get(path) as answer:
        assert answer.status == 503
        problem = await answer.json()
    assert problem["detail"] == (
        "not known at present: this worker has just started, and does not have all counts yet"
    )
    assert answer.headers["Retry-After"] == "2"


@pytest.mark.parametrize("path", ["/stats", "/stats/details", "/stats/stream"])
async def test_a_stopping_worker_answers_no_counts(
    bench: ViewBench, client: Client, path: str
) -> None:
    bench.app._stopped.set()
    async with client.get(path) as answer:
        assert answer.status == 503
        problem = await answer.json()
    assert problem["detail"] == "not known at present: this worker is stopping"


async def test_the_stream_sends_the_details_and_ends_when_the_worker_stops(
    counted: ViewBench, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats, "STREAM_INTERVAL", 10 * PATIENCE)  # only the end wakes it
    async with client.get("/stats/stream") as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        assert answer.headers["X-Accel-Buffering"] == "no"
        line = await asyncio.wait_for(answer.content.readline(), PATIENCE)
        assert line.startswith(b"data: ")
        assert json.loads(line[6:])["stats"]["decisions"]["total"] == 11
        assert await answer.content.readline() == b"\n"
        counted.worker.waiters.close()
        assert await asyncio.wait_for(answer.content.read(), PATIENCE) == b""


async def test_the_stream_goes_on_with_what_is_new(
    counted: ViewBench, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats, "STREAM_INTERVAL", 0.0)
    monkeypatch.setattr(overview, "CACHE_SECONDS", -1.0)
    async with client.get("/stats/stream") as answer:
        assert json.loads((await answer.content.readline())[6:])["stats"]["duplicates"] == 2
        counted.tables.counts.values[3] = Counts(0, {"duplicate": 5})

        async def until_told() -> None:
            while True:
                line = await answer.content.readline()
                if line.strip() and json.loads(line[6:])["stats"]["duplicates"] == 7:
                    return

        await asyncio.wait_for(until_told(), PATIENCE)
        counted.worker.waiters.close()
        await asyncio.wait_for(answer.content.read(), PATIENCE)


async def test_a_head_request_for_the_stream_gets_headers_only(client: Client) -> None:
    async with client.head("/stats/stream") as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        assert await asyncio.wait_for(answer.content.read(), PATIENCE) == b""


async def test_the_stream_is_aborted_once_its_key_is_no_longer_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = view_bench(tmp_path, monkeypatch, FRAUD_API_KEYS=f"reader:read:{SECRET}")
    bench.become_ready()
    monkeypatch.setattr(stats, "STREAM_INTERVAL", 0.0)
    async with (
        bench.served() as client,
        client.get("/stats/stream", headers={"X-API-Key": SECRET}) as answer,
    ):
        assert (await answer.content.readline()).startswith(b"data: ")
        monkeypatch.setattr(bench.context.access, "_keys", parse(f"reader:read:{ANOTHER}"))
        with pytest.raises(aiohttp.ClientPayloadError):
            await asyncio.wait_for(answer.content.read(), PATIENCE)


async def test_a_client_that_takes_no_events_is_dropped(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stuck(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(stats, "STALL_TIMEOUT", 0.01)
    monkeypatch.setattr(aiohttp.web.StreamResponse, "write", stuck)
    async with client.get("/stats/stream") as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await asyncio.wait_for(answer.content.read(), PATIENCE)
