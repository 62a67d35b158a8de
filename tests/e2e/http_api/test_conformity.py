"""HTTP semantics of every answer: problems, methods, negotiation and compression."""

from __future__ import annotations

import gzip
import json
from email.message import Message

import pytest

from tests.support.messages import encoded, transaction
from tests.support.raw_http import named, send
from tests.support.routes import routes
from tests.support.worker import Worker

BUNDLE = "/static/vendor/swagger-ui-5.35.0/swagger-ui-bundle.js"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def ask(worker: Worker, method: str, path: str, /, **headers: str) -> tuple[int, Message, bytes]:
    return send(worker.url, method, path, headers=named(headers))


def varies(headers: Message) -> set[str]:
    return {each.strip() for each in headers.get("Vary", "").split(",") if each}


@pytest.mark.parametrize(
    ("method", "path", "headers", "expected"),
    [
        ("GET", "/static/none.css", {}, 404),
        ("GET", "/static", {}, 404),
        ("GET", "/static/", {}, 404),
        ("GET", "/static/vendor", {}, 404),
        ("GET", "/static/../../setup.cfg", {}, 404),
        ("GET", "/static/..%2f..%2fsetup.cfg", {}, 404),
        ("GET", "/static//etc/passwd", {}, 404),
        ("GET", "/static/style.css%00", {}, 404),
        ("POST", "/static/style.css", {}, 405),
        ("GET", "/static/style.css", {"Expect": "rain"}, 417),
        ("GET", "/static/style.css", {"If_Match": '"other"'}, 412),
        ("GET", "/stats", {"Expect": "rain"}, 417),
        ("POST", "/transactions", {"Expect": "rain"}, 417),
        ("GET", "/nowhere", {"Expect": "rain"}, 417),
        ("PUT", "/stats", {"Expect": "rain"}, 417),
        ("TRACE", "/stats", {}, 405),
        ("POST", "/healthz", {}, 405),
        ("GET", "/transactions", {}, 405),
        ("OPTIONS", "/nowhere", {}, 404),
    ],
)
def test_what_is_refused_is_a_problem_on_every_path(
    worker: Worker, method: str, path: str, headers: dict[str, str], expected: int
) -> None:
    status, told, body = ask(worker, method, path, **headers)
    assert status == expected
    assert told["Content-Type"] == "application/problem+json"
    assert json.loads(body)["status"] == expected
    assert int(told["Content-Length"]) == len(body)
    assert told["X-Content-Type-Options"] == "nosniff"
    if method == "GET":
        status, same, nothing = ask(worker, "HEAD", path, **headers)
        assert (status, nothing) == (expected, b"")
        assert same["Content-Type"] == told["Content-Type"]


def test_the_methods_that_are_allowed_are_those_that_work(worker: Worker) -> None:
    methods: dict[str, set[str]] = {}
    for method, path in routes(worker.environment):
        methods.setdefault(path.replace("{name}", "style.css"), set()).add(method)
    assert methods["/transactions"] == {"POST", "OPTIONS"}
    for path, registered in methods.items():
        told = {}
        for method in ("DELETE", "PUT", "PATCH", "GET", "HEAD", "POST", "OPTIONS"):
            status, headers, _ = ask(worker, method, path)
            if status == 405:
                told[method] = headers["Allow"]
            if method == "OPTIONS":
                assert (status, headers["Allow"]) == (204, told["DELETE"]), path
            assert (status != 405) == (method in registered), (method, path)
        assert len(set(told.values())) == 1
        assert {each.strip() for each in told["DELETE"].split(",")} == registered, path
        assert ("GET" in registered) == ("HEAD" in registered), path


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        (BROWSER, True),
        ("text/html", True),
        ("TEXT/HTML; charset=utf-8", True),
        ("text/html;q=0", False),
        ("text/html;q=0, */*", False),
        ("text/html; q=0.0,*/*;q=0.1", False),
        ("application/json, text/html;q=0.5", False),
        ("application/json;q=0.4, text/html;q=0.5", True),
        ("text/html;q=0.1, */*", False),
        ("application/json;q=0, */*", True),
        ("text/*", True),
        ("application/*, text/html;q=0.9", False),
        ("text/htmlx", False),
        ('application/json;a="text/html,text/html"', False),
        ("image/png", False),
        ("text/html;q=much", False),
        ("text/html, ;;=, @@", False),
    ],
)
def test_a_page_is_for_whoever_would_rather_have_one(
    worker: Worker, accept: str | None, page: bool
) -> None:
    headers = {} if accept is None else {"Accept": accept}
    status, told, _ = ask(worker, "GET", "/stats", **headers)
    assert status == 200
    assert told["Content-Type"].startswith("text/html" if page else "application/json")
    assert "Accept" in varies(told)


def test_what_is_large_is_packed_for_whoever_takes_it(worker: Worker) -> None:
    for path in ("/openapi.json", "/docs", "/metrics", "/static/style.css", BUNDLE):
        _, plain, text = ask(worker, "GET", path)
        assert plain["Content-Encoding"] is None
        assert "Accept-Encoding" in varies(plain), path
        for accepted in (
            "gzip",
            "br, GZIP;q=0.1",
            "*",
            "*, identity;q=0",
            "gzip;q=1, identity;q=1",
        ):
            status, told, body = ask(worker, "GET", path, Accept_Encoding=accepted)
            assert (status, told["Content-Encoding"]) == (200, "gzip"), (path, accepted)
            assert int(told["Content-Length"]) == len(body) < len(text)
            assert told["ETag"] is None or told["ETag"] != plain["ETag"]
            assert "Accept-Encoding" in varies(told)
            if path != "/metrics":  # these change
                assert gzip.decompress(body) == text
                head, same, _ = ask(worker, "HEAD", path, Accept_Encoding=accepted)
                assert (head, same["Content-Length"]) == (200, told["Content-Length"])
                assert same["Content-Encoding"] == "gzip"
        for refused in (
            "",
            "br",
            "gzip;q=0",
            "*;q=0, identity",
            "gzip;q=0.1, identity",
            "gzip;q=x",
        ):
            _, told, body = ask(worker, "GET", path, Accept_Encoding=refused)
            assert told["Content-Encoding"] is None, (path, refused)
            assert int(told["Content-Length"]) == len(body)
        for impossible in ("*;q=0", "identity;q=0", "identity;q=0, br", "gzip;q=0, identity;q=0"):
            status, told, _ = ask(worker, "GET", path, Accept_Encoding=impossible)
            assert (status, told["Content-Type"]) == (406, "application/problem+json")


def test_what_is_small_or_has_no_end_is_not_packed(worker: Worker) -> None:
    for path in ("/healthz", "/stats/stream", "/nowhere"):
        _, told, _ = ask(worker, "GET", path, Accept_Encoding="gzip")
        assert told["Content-Encoding"] is None, path


def test_large_problems_and_decisions_are_packed_too(worker: Worker) -> None:
    bad = json.dumps([transaction(f"bad{number}", amount="1") for number in range(50)]).encode()
    headers = {"Content-Type": "application/json", "Accept-Encoding": "gzip"}
    status, told, body = send(worker.url, "POST", "/transactions", bad, headers)
    assert (status, told["Content-Encoding"]) == (422, "gzip")
    assert len(json.loads(gzip.decompress(body))["errors"]) == 50
    headers["Accept-Encoding"] = "*;q=0"
    assert send(worker.url, "POST", "/transactions", encoded(transaction("n")), headers)[0] == 406
    assert worker.get("/transaction/n/status")[0] == 404
    headers["Accept-Encoding"] = "gzip, identity;q=0"
    status, told, body = send(worker.url, "GET", "/healthz", None, headers)
    assert (status, told["Content-Encoding"]) == (200, "gzip")
    assert json.loads(gzip.decompress(body))["status"] == "alive"


def test_files_of_pages_are_asked_for_again_in_vain(worker: Worker) -> None:
    for accepted in ("identity", "gzip"):
        _, told, body = ask(worker, "GET", "/static/style.css", Accept_Encoding=accepted)
        assert told["Cache-Control"] == "no-cache"
        assert told["Content-Type"].startswith("text/css")
        tag = told["ETag"]
        for known in (tag, f'"a", W/{tag}', "*"):
            status, same, nothing = ask(
                worker, "GET", "/static/style.css", Accept_Encoding=accepted, If_None_Match=known
            )
            assert (status, nothing, same["ETag"]) == (304, b"", tag)
            assert varies(same) == varies(told)
        status, _, again = ask(
            worker, "GET", "/static/style.css", Accept_Encoding=accepted, If_None_Match='"other"'
        )
        assert (status, again) == (200, body)


def test_refusals_of_origins_depend_on_them(worker: Worker) -> None:
    for name, value in (("Origin", "http://evil.example"), ("Sec-Fetch-Site", "cross-site")):
        status, told, _ = ask(worker, "GET", "/openapi.json", **{name: value})
        assert status == 403
        assert name in varies(told)


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/stats", {}),
        ("GET", "/stats/stream", {}),
        ("GET", "/static/style.css", {}),
        ("GET", "/static/style.css", {"If_None_Match": "*"}),
        ("HEAD", "/nowhere", {}),
        ("OPTIONS", "/stats", {}),
        ("DELETE", "/stats", {}),
        ("GET", "/stats", {"Expect": "rain"}),
        ("GET", "/stats", {"Origin": "http://evil.example"}),
        ("POST", "/transactions", {}),
    ],
)
def test_a_request_is_answered_by_its_name(
    worker: Worker, method: str, path: str, headers: dict[str, str]
) -> None:
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    parent = f"00-{trace}-{span}-01"
    _, told, body = ask(worker, method, path, X_Request_ID="mine-1", traceparent=parent, **headers)
    assert told.get_all("X-Request-ID") == ["mine-1"]
    answered = told["traceparent"].split("-")
    assert (answered[1], answered[2] != span, answered[3]) == (trace, True, "01")
    if told["Content-Type"] == "application/problem+json" and body:
        assert json.loads(body)["request_id"] == "mine-1"
    _, told, _ = ask(worker, method, path, X_Request_ID="not mine", traceparent="x", **headers)
    assert told["X-Request-ID"] not in ("mine-1", "not mine")
    assert trace not in told["traceparent"]
