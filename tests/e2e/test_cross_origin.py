"""No page of another origin reads or writes through an operator's browser."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Error

from tests.support.chromium import chromium
from tests.support.messages import encoded, transaction
from tests.support.worker import Worker

JSON = "application/json"
NAVIGATION = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}


@pytest.fixture
def worker(new_worker: Callable[..., Worker]) -> Worker:
    return new_worker(FRAUD_WEB_HOSTS="fraud.example.com, *.fraud.svc")


def ask(
    worker: Worker,
    method: str = "GET",
    path: str = "/stats",
    body: bytes = b"",
    /,
    **headers: str | list[str],
) -> int:
    """Send exactly these headers, `_` for `-`, and return the status."""
    port = urlsplit(worker.url).port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=40)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, values in {"Host": f"127.0.0.1:{port}", **headers}.items():
        for value in [values] if isinstance(values, str) else values:
            connection.putheader(name.replace("_", "-"), value)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 400 and method != "HEAD":
        assert json.loads(text)["status"] == answer.status
    connection.close()
    return answer.status


def test_only_known_hosts_own_origins_and_json_are_served(worker: Worker) -> None:
    port = urlsplit(worker.url).port
    for host in (
        "localhost",
        f"LocalHost.:{port}",
        f"app.localhost:{port}",
        "192.168.1.5",
        "[::1]:8000",
        "fraud.example.com",
        "FRAUD.example.com:443",
        "fraudapp.fraud.svc",
    ):
        assert ask(worker, Host=host) == 200, host
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "worker",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil-localhost",
        "notfraud.example.com",
        "x.fraud.example.com",
        "fraud.svc",
        "127.0.0.1:80@evil.example",
        "evil.example#127.0.0.1",
        "[evil.example]",
        "2130706433",
        "[::1",
        "",
    ):
        assert ask(worker, Host=host) == 421, host
        assert ask(worker, "GET", "/static/style.css", Host=host) == 421, host
        assert ask(worker, "GET", "/healthz", Host=host) == 200, host
    assert ask(worker, Host=["localhost", "evil.example"]) == 400
    assert ask(worker, Host=[]) == 400
    assert ask(worker, "GET", "http://evil.example/stats") == 421

    body = encoded(transaction("own"))
    own = f"http://127.0.0.1:{port}"
    for origin in (own, "https://fraud.example.com"):
        assert ask(worker, "POST", "/transactions", body, Content_Type=JSON, Origin=origin) == 202
        assert ask(worker, Origin=origin, Sec_Fetch_Site="same-origin") == 200
    assert ask(worker, Host="localhost", Origin="https://localhost") == 200
    body = encoded(transaction("foreign"))
    for origin in (
        "null",
        "",
        "file://",
        "http://evil.example",
        f"http://localhost:{port}",
        "http://127.0.0.1:1",
        "http://127.0.0.1",
        "http://fraud.example.com:1",
        "http://a.fraud.svc",
        f"chrome-extension://127.0.0.1:{port}",
        f"http://127.0.0.1:{port}.evil.example",
        "http://127.0.0.1:x",
    ):
        for method, path in (("POST", "/transactions"), ("GET", "/stats"), ("OPTIONS", "/stats")):
            assert ask(worker, method, path, body, Content_Type=JSON, Origin=origin) == 403, origin
    for site in ("cross-site", "same-site", "anything"):
        headers = {"Sec_Fetch_Site": site}
        assert ask(worker, "POST", "/transactions", body, Content_Type=JSON, **headers) == 403
        assert ask(worker, **headers, Sec_Fetch_Mode="no-cors", Sec_Fetch_Dest="image") == 403
        navigation = headers | NAVIGATION
        assert ask(worker, **navigation) == 200  # a link
        assert ask(worker, "POST", "/transactions", body, Content_Type=JSON, **navigation) == 403
        assert ask(worker, **(navigation | {"Sec_Fetch_Dest": "iframe"})) == 403

    kinds: tuple[str | list[str], ...] = (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; application/json",
        "application/jsonp",
        "application/json; charset=utf-16",
        "nonsense",
        "",
        [],
    )
    for kind in kinds:
        assert ask(worker, "POST", "/transactions", body, Content_Type=kind) == 415, kind
    assert worker.get("/transaction/foreign/status")[0] == 404
    for kind in ("Application/JSON; charset=UTF-8", "application/vnd.bank+json"):
        assert ask(worker, "POST", "/transactions", body, Content_Type=kind) == 202


class Hostile(BaseHTTPRequestHandler):
    """Serves a page that may do what it likes; its scripts come from the test."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>hostile</title><body></body>")

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def hostile_page() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


SENT = """async ([url, body, how]) => {
  const text = { "Content-Type": "text/plain" }, json = { "Content-Type": "application/json" };
  const post = (init) => fetch(url, { method: "POST", body, ...init }).then(() => 0, () => 0);
  const form = (type) => {
    const frame = document.createElement("iframe");
    frame.name = "frame-" + type;
    document.body.append(frame);
    const form = document.body.appendChild(document.createElement("form"));
    const field = form.appendChild(document.createElement("input"));
    [field.name, field.value] = [body.slice(0, -1) + ',"x":"', '"}'];
    Object.assign(form, { method: "POST", action: url, enctype: type, target: frame.name });
    form.submit();
  };
  return {
    simple: () => post({ mode: "no-cors", headers: text }),
    typeless: () => post({ mode: "no-cors", body: new Blob([body]) }),
    cors: () => post({ headers: text }),
    preflight: () => post({ headers: json }),
    beacon: () => navigator.sendBeacon(url, body),
    "beacon-typeless": () => navigator.sendBeacon(url, new Blob([body])),
    "beacon-json": () => navigator.sendBeacon(url, new Blob([body], { type: "application/json" })),
    form: () => form("text/plain"),
    "form-encoded": () => form("application/x-www-form-urlencoded"),
  }[how]();
}"""
WAYS = (
    "simple",
    "typeless",
    "cors",
    "preflight",
    "beacon",
    "beacon-typeless",
    "beacon-json",
    "form",
    "form-encoded",
)


def test_a_hostile_page_in_a_browser_neither_reads_nor_writes(worker: Worker) -> None:
    port = urlsplit(worker.url).port
    mapped = "--host-resolver-rules=MAP evil.example 127.0.0.1"
    with hostile_page() as other, chromium(mapped) as browser:
        rebound_names_are_not_served(browser, f"http://evil.example:{port}")
        for origin in (f"http://evil.example:{other}", f"http://127.0.0.1:{other}"):
            page = browser.new_page()
            page.goto(origin)
            for way in WAYS:
                id_ = f"{way}-{urlsplit(origin).hostname}"
                body = encoded(transaction(id_)).decode()
                url = f"{worker.url}/transactions?wait_seconds=5&{id_}"
                with page.expect_request(url):
                    page.evaluate(SENT, [url, body, way])
            for read in ("/stats", "/stats/details", "/transaction/own/status"):
                with pytest.raises(Error, match="Failed to fetch"):
                    page.evaluate("url => fetch(url).then(r => r.text())", worker.url + read)
            page.close()
        # Of two ways the browser asks first, and is told no.
        worker.child.wait_until(lambda: posts(worker) >= 2 * (len(WAYS) - 2), 60)
    for name in ("evil.example", "127.0.0.1"):
        for way in WAYS:
            assert worker.get(f"/transaction/{way}-{name}/status")[0] == 404, way


def posts(worker: Worker) -> int:
    counted = re.findall(
        r'^fraud_http_requests_total{method="POST".* ([0-9.e+]+)$',
        worker.text("/metrics")[1],
        re.MULTILINE,
    )
    return int(sum(map(float, counted)))


def rebound_names_are_not_served(browser: Browser, url: str) -> None:
    page = browser.new_page()
    for path in ("/stats", "/docs", "/static/style.css"):
        answer = page.goto(url + path)
        assert answer is not None
        assert answer.status == 421
    page.goto(f"{url}/healthz")  # of this origin it could now ask for anything
    body = encoded(transaction("rebound")).decode()
    init = {"method": "POST", "body": body, "headers": {"Content-Type": JSON}}
    send = "([url, init]) => fetch(url, init).then(r => r.status)"
    assert page.evaluate(send, [f"{url}/transactions", init]) == 421
    assert page.evaluate(send, [f"{url}/stats", {}]) == 421
    page.close()
