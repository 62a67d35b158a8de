"""Rate limits: which requests count, for whom, and the answer that a person sees."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.support import raw_http
from tests.support.chromium import chromium
from tests.support.proxied import proxy
from tests.support.worker import Worker

LIMIT = 10
SECRET, OTHER, WRONG = "reader-secret-hunter2", "other-secret-hunter3", "wrong-secret-hunter4"
ELSEWHERE = "127.0.0.2"
"""An address of this machine that is no proxy."""
BROWSER = {"Accept": "text/html"}


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"reader:read:{SECRET},other:read:{OTHER}")
    return path


@pytest.fixture
def worker(new_worker: Callable[..., Worker], key_file: Path) -> Worker:
    return new_worker(
        FRAUD_API_KEYS_FILE=str(key_file),
        FRAUD_RATE_LIMIT=f"1000/minute; {LIMIT}/hour",
        FRAUD_WEB_PROXIES="127.0.0.1,10.0.0.0/8",
    )


def ask(url: str, path: str, headers: Mapping[str, str], source: str = "127.0.0.1") -> int:
    status, told, text = raw_http.send(url, "GET", path, headers=headers, source=source)
    if status == 429:
        seconds = int(told["Retry-After"])
        assert 0 < seconds <= 3_600
        assert json.loads(text)["detail"].endswith(f"try again in {seconds} s")
    return status


def many(url: str, path: str, headers: Mapping[str, str], source: str = "127.0.0.1") -> int:
    """How many are answered until one is refused."""
    for number in range(2 * LIMIT):
        if ask(url, path, headers, source) == 429:
            return number
    return 2 * LIMIT


def by(address: str, **headers: str) -> dict[str, str]:
    return {"X-Forwarded-For": address, **headers}


def key(secret: str) -> dict[str, str]:
    return {"X-API-Key": secret}


def test_requests_are_counted_for_whom_they_come_from(
    worker: Worker, key_file: Path, tmp_path: Path
) -> None:
    pages_and_files_are_not_counted(worker)
    proxies_are_believed(worker)
    nobody_else_is_believed(worker)
    who_guesses_is_not_told_that_it_was_right(worker)
    with proxy(urlsplit(worker.url).port or 0, tmp_path) as url:
        the_proxy_of_the_compose_file_says_who_calls(url)
    with chromium() as browser:
        a_page_says_so_and_goes_on(worker, browser, key_file)
    text = worker.log.read_text()
    assert "hunter" not in text


def pages_and_files_are_not_counted(worker: Worker) -> None:
    visitor = by("203.0.113.1", **BROWSER)
    for path in (
        "/",
        "/stats",
        "/docs",
        "/static/style.css",
        "/static/none",
        "/healthz",
        "/readyz",
    ):
        assert many(worker.url, path, visitor) == 2 * LIMIT, path
    assert many(worker.url, "/stats/details", visitor) == LIMIT
    assert ask(worker.url, "/nothing", visitor) == 429
    assert ask(worker.url, "/stats", visitor) == 200
    assert ask(worker.url, "/stats", by("203.0.113.1")) == 429  # for programs it is data


def proxies_are_believed(worker: Worker) -> None:
    assert many(worker.url, "/metrics", by("1.1.1.1, 203.0.113.2, 10.1.2.3")) == LIMIT
    assert ask(worker.url, "/metrics", by("2.2.2.2,203.0.113.2:4711")) == 429
    assert (
        ask(worker.url, "/metrics", {"Forwarded": "for=2.2.2.2, for=203.0.113.2;proto=https"})
        == 429
    )
    assert ask(worker.url, "/metrics", by("203.0.113.3")) == 401
    assert many(worker.url, "/metrics", by("2001:db8:1:2::1")) == LIMIT
    assert ask(worker.url, "/metrics", by("[2001:db8:1:2:ffff::9]:80")) == 429
    assert ask(worker.url, "/metrics", by("2001:db8:1:3::1")) == 401
    # Whom it cannot tell is the proxy itself, whatever is made up to the left.
    assert sum(ask(worker.url, "/metrics", by(f"8.8.8.{n}, unknown")) == 401 for n in range(9)) == 9
    assert ask(worker.url, "/metrics", {}) == 401
    assert ask(worker.url, "/metrics", by("8.8.8.8, unknown")) == 429


def nobody_else_is_believed(worker: Worker) -> None:
    told = [ask(worker.url, "/metrics", by(f"8.8.4.{n}"), ELSEWHERE) for n in range(LIMIT + 1)]
    assert told == [401] * LIMIT + [429]
    assert ask(worker.url, "/metrics", {"Forwarded": "for=8.8.4.4"}, ELSEWHERE) == 429


def who_guesses_is_not_told_that_it_was_right(worker: Worker) -> None:
    guesser = by("203.0.113.4")
    assert many(worker.url, "/metrics", guesser | key(WRONG)) == LIMIT
    assert ask(worker.url, "/metrics", guesser | key(OTHER)) == 429
    assert ask(worker.url, "/metrics", by("203.0.113.5") | key(OTHER)) == 200
    # Who only lacks a key has guessed nothing.
    assert many(worker.url, "/metrics", by("203.0.113.6")) == LIMIT
    assert ask(worker.url, "/metrics", by("203.0.113.6") | key(OTHER)) == 200


def the_proxy_of_the_compose_file_says_who_calls(url: str) -> None:
    told = [
        ask(url, "/metrics", by(f"9.9.9.{n}", Forwarded=f"for=9.9.9.{n}"), "127.0.0.3")
        for n in range(LIMIT + 1)
    ]
    assert told == [401] * LIMIT + [429]
    assert ask(url, "/metrics", {}, "127.0.0.4") == 401


def a_page_says_so_and_goes_on(worker: Worker, browser: Browser, key_file: Path) -> None:
    assert many(worker.url, "/metrics", by("203.0.113.7") | key(SECRET)) == LIMIT
    with browser.new_context(extra_http_headers=by("203.0.113.8")) as context:
        context.add_init_script(f"sessionStorage.setItem('fraudapp-key', '{SECRET}')")
        stats, docs = context.new_page(), context.new_page()
        for page, path in ((stats, "/stats"), (docs, "/docs")):
            page.set_default_timeout(30_000)
            page.clock.install()
            page.goto(worker.url + path)
            sentence = page.locator("#status" if page == stats else "#docs")
            expect(sentence).to_have_text("Too many requests: going on in 60 min", timeout=30_000)
        stats.locator("#lookup-id").fill("a")
        stats.locator("#lookup [type=submit]").click()
        expect(stats.locator("#lookup-answer")).to_contain_text("try again in")
        stats.clock.fast_forward("30:00")
        expect(stats.locator("#status")).to_contain_text("going on in 30 min")
        stats.clock.fast_forward("30:00")  # but for the server it is too soon
        expect(stats.locator("#status")).to_have_text("Too many requests: going on in 60 min")
        key_file.write_text(f"renamed:read:{SECRET},other:read:{OTHER}")  # counted anew
        while ask(worker.url, "/metrics", by("203.0.113.7") | key(SECRET)) == 429:
            stats.wait_for_timeout(100)
        for page in (stats, docs):
            page.clock.fast_forward("01:00:00")
        expect(stats.locator("#status")).to_have_text("Live", timeout=30_000)
        expect(docs.locator("#docs")).to_contain_text("OpenAPI", timeout=30_000, ignore_case=True)
