"""What every answer has in common, whatever was asked for."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from fraudapp.process.logs import AUDIT
from tests.support.transactions import FIELDS
from tests.support.views import Client, ViewBench, view_bench
from web.headers import HEADERS
from web.register import VIEWS
from web.views import View

READ, WRITE = "a-secret-that-only-reads", "a-secret-that-only-writes"
KEYS = f"reader:read:{READ},writer:write:{WRITE}"
BROWSER = {"Accept": "text/html,*/*;q=0.8"}


@pytest.fixture
async def guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ViewBench:
    """A worker that asks for keys."""
    bench = view_bench(tmp_path, monkeypatch, FRAUD_API_KEYS=KEYS)
    bench.become_ready()
    return bench


@pytest.mark.parametrize("path", ["/nothing/here", "/stat", "/stats/", "/table/", "/router/"])
async def test_an_unknown_path_is_a_404_problem(client: Client, path: str) -> None:
    async with client.get(path) as answer:
        assert (answer.status, answer.content_type) == (404, "application/problem+json")
        problem = await answer.json()
    assert (problem["type"], problem["title"], problem["status"]) == (
        "about:blank",
        "Not Found",
        404,
    )
    assert problem["detail"] == f"there is nothing at {path}"
    assert problem["request_id"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/transactions", {"OPTIONS", "POST"}),
        ("HEAD", "/transactions", {"OPTIONS", "POST"}),
        ("POST", "/stats", {"GET", "HEAD", "OPTIONS"}),
        ("DELETE", "/healthz", {"GET", "HEAD", "OPTIONS"}),
        ("PUT", "/transaction/t1/status", {"GET", "HEAD", "OPTIONS"}),
    ],
)
async def test_an_unknown_method_is_refused_with_the_allowed_ones(
    client: Client, method: str, path: str, allowed: set[str]
) -> None:
    async with client.request(method, path) as answer:
        assert (answer.status, answer.content_type) == (405, "application/problem+json")
        assert set(answer.headers["Allow"].split(",")) == allowed
        if method != "HEAD":
            assert (await answer.json())["detail"] == f"{method} is not allowed at {path}"
    async with client.options(path) as answer:
        assert (answer.status, set(answer.headers["Allow"].split(","))) == (204, allowed)


@pytest.mark.parametrize("path", ["/stats", "/healthz", "/openapi.json", "/metrics", "/docs"])
async def test_a_head_is_as_the_answer_without_its_body(client: Client, path: str) -> None:
    async with client.head(path) as head:
        assert (head.status, await head.read()) == (200, b"")
    async with client.get(path) as whole:
        assert head.content_type == whole.content_type


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/stats", 200),
        ("GET", "/static/stats.js", 200),
        ("GET", "/nothing", 404),
        ("POST", "/transactions", 415),
        ("GET", "/stats/stream", 200),
    ],
)
async def test_every_answer_tells_browsers_to_trust_nothing_else(
    bench: ViewBench, client: Client, method: str, path: str, status: int
) -> None:
    bench.worker.waiters.close()  # so that the stream ends
    async with client.request(method, path) as answer:
        assert answer.status == status
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
        assert answer.headers["X-Request-ID"]
        assert answer.headers["traceparent"].startswith("00-")


async def test_no_answer_but_a_file_may_be_stored(client: Client) -> None:
    for path in ("/stats", "/healthz", "/nothing", "/transaction/t1/status"):
        async with client.get(path) as answer:
            assert answer.headers["Cache-Control"] == "no-store"
    async with client.get("/static/stats.js") as answer:
        assert answer.headers["Cache-Control"] == "no-cache"


async def test_a_request_keeps_its_request_id(client: Client) -> None:
    async with client.get("/nothing", headers={"X-Request-ID": "mine-1"}) as answer:
        assert answer.headers["X-Request-ID"] == "mine-1"
        assert (await answer.json())["request_id"] == "mine-1"


async def test_what_is_meant_for_another_host_or_sent_by_another_page_is_refused(
    client: Client,
) -> None:
    async with client.get("/stats", headers={"Host": "evil.example"}) as answer:
        assert answer.status == 421
    async with client.get("/stats", headers={"Origin": "http://evil.example"}) as answer:
        assert answer.status == 403
        assert "Origin" in answer.headers["Vary"]
    async with client.get("/healthz", headers={"Host": "evil.example"}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("view", [each for each in VIEWS if each.view_name != "static"])
async def test_every_view_but_health_and_pages_needs_a_key(
    guarded: ViewBench, view: type[View]
) -> None:
    path = view.view_path.replace("{transaction_id:[^/]+}", "t1")
    method = "POST" if path == "/transactions" else "GET"
    async with (
        guarded.served() as client,
        client.request(method, path, allow_redirects=False) as answer,
    ):
        if path in ("/healthz", "/readyz"):
            assert answer.status == 200
        else:
            assert (answer.status, answer.content_type) == (401, "application/problem+json")
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="fraudapp"'


@pytest.mark.parametrize(
    ("headers", "method", "status"),
    [
        ({"X-API-Key": READ}, "GET", 200),
        ({"Authorization": f"Bearer {READ}"}, "GET", 200),
        ({"Authorization": f"bearer  {READ}"}, "GET", 200),
        ({"Authorization": f"Basic {READ}"}, "GET", 401),
        ({"X-API-Key": "nobody-has-such-a-secret"}, "GET", 401),
        ({"X-API-Key": WRITE}, "GET", 403),
        ({"X-API-Key": READ}, "POST", 403),
        ({"X-API-Key": WRITE}, "POST", 202),
    ],
)
async def test_a_key_opens_what_its_scope_says(
    guarded: ViewBench, headers: dict[str, str], method: str, status: int
) -> None:
    path = "/transactions" if method == "POST" else "/stats"
    body = json.dumps(FIELDS) if method == "POST" else None
    typed = {**headers, "Content-Type": "application/json"}
    async with (
        guarded.served() as client,
        client.request(method, path, data=body, headers=typed) as answer,
    ):
        assert answer.status == status
        if status == 403:
            assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    assert len(guarded.producer.sent) == (status == 202)


async def test_pages_and_their_files_are_open_since_they_hold_no_data(guarded: ViewBench) -> None:
    async with guarded.served() as client:
        for path in ("/stats", "/docs", "/static/stats.js"):
            async with client.get(path, headers=BROWSER) as answer:
                assert answer.status == 200
        async with client.get("/", headers=BROWSER, allow_redirects=False) as answer:
            assert answer.status == 302
        async with client.get("/nothing", headers=BROWSER) as answer:
            assert answer.status == 401


async def test_callers_above_the_rate_limit_get_429_with_retry_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = view_bench(tmp_path, monkeypatch, FRAUD_RATE_LIMIT="2/hour")
    bench.become_ready()
    async with bench.served() as client:
        statuses = []
        for _ in range(3):
            async with client.get("/stats") as answer:
                statuses.append(answer.status)
        assert statuses == [200, 200, 429]
        assert 0 < int(answer.headers["Retry-After"]) <= 3600
        async with client.get("/healthz") as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("sent", "count"), [(FIELDS, 1), ([FIELDS, {**FIELDS, "transaction_id": "t2"}], 2)]
)
async def test_each_writing_request_has_an_audit_line_with_its_key(
    guarded: ViewBench, caplog: pytest.LogCaptureFixture, sent: object, count: int
) -> None:
    body = json.dumps(sent)
    headers = {"Content-Type": "application/json", "X-API-Key": WRITE}
    with caplog.at_level(logging.INFO, AUDIT):
        async with guarded.served() as client:
            async with client.get("/stats", headers={"X-API-Key": READ}) as answer:
                assert answer.status == 200
            async with client.post("/transactions", data=body, headers=headers) as answer:
                assert answer.status == 202
    (record,) = (each for each in caplog.records if each.name == AUDIT)
    told = {name: record.__dict__[name] for name in ("key", "method", "path", "status")}
    assert told == {"key": "writer", "method": "POST", "path": "/transactions", "status": 202}
    assert record.__dict__["transactions"] == count


@pytest.mark.parametrize(
    ("keys", "said"),
    [(KEYS, "asks for a key"), ("", "the API is open, on this machine only")],
)
async def test_the_log_says_who_may_use_the_api(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    keys: str,
    said: str,
) -> None:
    bench = view_bench(tmp_path, monkeypatch, FRAUD_API_KEYS=keys)
    with caplog.at_level(logging.INFO, "web.access"):
        async with bench.served():
            pass
    (record,) = (each for each in caplog.records if each.name == "web.access")
    assert said in record.getMessage()
