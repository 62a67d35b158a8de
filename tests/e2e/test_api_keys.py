"""API keys open what their scope allows, and nothing else; requests are limited."""

from __future__ import annotations

import contextlib
import http.client
import json
import urllib.request
from collections.abc import Callable, Mapping
from email.message import Message
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support.chromium import chromium
from tests.support.messages import encoded, transaction
from tests.support.raw_http import NONE, send
from tests.support.routes import routes
from tests.support.worker import Worker

READ, WRITE, BOTH = "read-hunter2-secret", "write-hunter3-secret", "both-hunter4-secret"
NEW = "new-hunter5-secret"
KEYS = f"reader:read:{READ},writer:write:{WRITE},both:read+write:{BOTH}"
READER, WRITER = {"X-API-Key": READ}, {"X-API-Key": WRITE}
BROWSER = {"Accept": "text/html"}
JSON = {"Content-Type": "application/json"}
OPEN = {"/healthz", "/readyz", "/static/style.css"}
"""Whoever asks; the files of the pages hold nothing that is not public."""
LIMIT = 1_000
WRITING = {
    "/transactions": "write",
    "/transaction/{transaction_id}/label": "label",
    "/transaction/label": "label",
    "/policy": "author",
    "/policy/check": "author",
    "/policy/backtest": "author",
    "/policy/caps": "author",
    "/policy/approvals": "approve",
    "/lists/{name}": "author",
}
"""By route: the scope of requests that do more than read."""


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(KEYS)
    return path


@pytest.fixture
def locked(new_worker: Callable[..., Worker], key_file: Path) -> Worker:
    return new_worker(
        FRAUD_API_KEYS_FILE=str(key_file),
        FRAUD_RATE_LIMIT=f"{LIMIT}/hour",
        FRAUD_MAX_BODY_BYTES="5000",
    )


def ask(
    worker: Worker,
    method: str,
    path: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] = NONE,
) -> tuple[int, Message, str]:
    headers = {**(JSON if body is not None else NONE), **headers}
    status, answered, text = send(worker.url, method, path, body, headers)
    return status, answered, text.decode()


def test_every_route_opens_to_the_right_keys_only(locked: Worker, key_file: Path) -> None:
    tried = 0
    for method, canonical in sorted(routes(locked.environment)):
        path = canonical.replace("{transaction_id}", "a").replace("{name}", "style.css")
        scope = "read" if method in ("GET", "HEAD", "OPTIONS") else WRITING[canonical]
        for secret, scopes in ((READ, {"read"}), (WRITE, {"write"}), (BOTH, {"read", "write"})):
            for header in ({"X-API-Key": secret}, {"Authorization": f"Bearer {secret}"}):
                status, _, _ = ask(locked, method, path, headers=header)
                assert (status != 403) == (path in OPEN or scope in scopes), (method, path, scopes)
                assert status not in (401, 500), (method, path)
        for wrong in (
            {},
            {"X-API-Key": "wrong"},
            {"Authorization": f"Basic {READ}"},
            {"Authorization": "Bearer reader"},
            {"Authorization": f"Bearer {READ}x"},
            {"Accept": "*/*"},
        ):
            status, headers, text = ask(locked, method, path, headers=wrong)
            assert (status != 401) == (path in OPEN), (method, path, wrong)
            if status == 401:
                assert headers["WWW-Authenticate"].startswith("Bearer")
                assert headers["Content-Type"] == "application/problem+json"
                assert method == "HEAD" or json.loads(text)["status"] == 401
            tried += 1
    assert tried > 100
    for path in ("/table/", "/router/", "/graph/", "/performance/", "/nothing"):
        assert ask(locked, "GET", path)[0] == 401
        assert ask(locked, "GET", path, headers=READER)[0] == 404
    for path in ("/stats", "/policy", "/docs"):
        status, _, text = ask(locked, "GET", path, headers=BROWSER)
        assert (status, "hunter" in text) == (200, False)
    for path in ("/stats/details", "/openapi.json", "/metrics", "/lists", "/policy/history"):
        assert ask(locked, "GET", path, headers=BROWSER)[0] == 401

    body = encoded(transaction("locked", nameOrig="C444555666", isFlaggedFraud=1))
    assert ask(locked, "POST", "/transactions", body=body, headers=READER)[0] == 403
    waiting = "/transactions?wait_seconds=20"
    assert ask(locked, "POST", waiting, body=body, headers=WRITER)[0] == 200
    assert ask(locked, "POST", "/transactions", body=b"x" * 5_001, headers=WRITER)[0] == 413
    with chromium() as browser:
        the_page_asks_for_the_key(locked, browser)
    too_many_requests_are_refused(locked)
    other_keys_are_taken_without_a_restart(locked, key_file)
    text = locked.log.read_text()
    assert "hunter" not in text
    assert "C444555666" not in text
    assert "asks for a key" in text


def the_page_asks_for_the_key(locked: Worker, browser: Browser) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.goto(f"{locked.url}/stats")
        page.get_by_label("API key").fill("wrong")
        page.get_by_role("button", name="Use key").click()
        expect(page.get_by_role("alert")).to_contain_text("does not take this key")
        page.get_by_label("API key").fill(READ)
        page.get_by_role("button", name="Use key").click()
        expect(page.locator("#status")).to_have_text("Live", timeout=30_000)
        expect(page.locator("#total")).to_have_text("1")
        page.reload()
        expect(page.locator("#status")).to_have_text("Live", timeout=30_000)
        page.get_by_role("button", name="locked").click()
        expect(page.get_by_role("dialog")).to_contain_text("C444555666")


def other_keys_are_taken_without_a_restart(locked: Worker, key_file: Path) -> None:
    reader = {"X-API-Key": NEW}
    assert ask(locked, "GET", "/stats", headers=reader)[0] == 401
    request = urllib.request.Request(locked.url + "/stats/stream", headers={"X-API-Key": BOTH})
    with urllib.request.urlopen(request, timeout=40) as stream:
        assert stream.readline().startswith(b"data: ")
        key_file.write_text("")
        for _ in range(3):
            assert stream.readline()  # what is no key takes none away
        key_file.write_text(f"new:read:{NEW}\n")
        with contextlib.suppress(ConnectionResetError, http.client.IncompleteRead):
            while stream.readline():
                pass  # it ends
    assert ask(locked, "GET", "/stats", headers={"X-API-Key": BOTH})[0] == 401
    assert ask(locked, "GET", "/stats", headers=reader)[0] == 200


def too_many_requests_are_refused(locked: Worker) -> None:
    for _ in range(LIMIT + 1):
        status, headers, text = ask(locked, "GET", "/openapi.json", headers=READER)
        if status == 429:
            break
    assert status == 429
    assert 0 < int(headers["Retry-After"]) <= 3_600
    assert json.loads(text)["title"] == "Too Many Requests"
    assert ask(locked, "GET", "/stats", headers={"X-API-Key": BOTH})[0] == 200
    assert ask(locked, "GET", "/healthz")[0] == 200
