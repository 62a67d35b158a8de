"""The log of a worker as lines of JSON, and its audit lines of requests that write."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Any

from tests.support import raw_http
from tests.support.messages import transaction
from tests.support.worker import Worker

READ, WRITE = "read-hunter2-secret", "write-hunter3-secret"
JSON = {"Content-Type": "application/json"}


def send(worker: Worker, method: str, path: str, body: bytes | None = None, **headers: str) -> int:
    return raw_http.send(worker.url, method, path, body, JSON | raw_http.named(headers))[0]


def audit(entries: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (each["request_id"], each["key"], each["status"], each["transactions"], each["path"])
        for each in entries
        if each["logger"] == "fraudapp.audit"
    ]


def test_all_that_is_written_is_json_and_requests_that_write_are_told(
    new_worker: Callable[..., Worker],
) -> None:
    worker = new_worker(
        FRAUD_LOG_FORMAT="json",
        FRAUD_API_KEYS=f"reader:read:{READ},writer:write:{WRITE}",
    )
    three = json.dumps([transaction(f"told-{number}") for number in range(3)]).encode()
    one = json.dumps(transaction("told-one")).encode()
    path = "/transactions"
    tried = [
        (send(worker, "POST", path, three, X_API_Key=WRITE, X_Request_ID="r1"), 202, 3, "writer"),
        (send(worker, "POST", path, one, X_API_Key=WRITE, X_Request_ID="r2"), 202, 1, "writer"),
        (send(worker, "POST", path, one, X_API_Key=READ, X_Request_ID="r3"), 403, None, "reader"),
        (send(worker, "POST", path, one, X_API_Key="unknown", X_Request_ID="r4"), 401, None, None),
        (send(worker, "POST", path, b"{", X_API_Key=WRITE, X_Request_ID="r5"), 422, None, "writer"),
        (send(worker, "POST", path, one, Host="evil.example", X_Request_ID="r6"), 421, None, None),
        (send(worker, "POST", path, one, Expect="rain", X_Request_ID="r7"), 417, None, None),
        (send(worker, "DELETE", path, X_API_Key=WRITE, X_Request_ID="r8"), 405, None, "writer"),
    ]
    odd = "/%1b[2J%0a%ff" + "x" * 1_000 + "?key=" + WRITE
    assert send(worker, "PUT", odd, X_Request_ID="r9") == 401
    assert send(worker, "GET", "/stats", X_API_Key=READ, X_Request_ID="r10") == 200
    assert worker.terminate() == 0
    text = worker.log.read_text()
    entries = [json.loads(line) for line in text.splitlines()]
    told = audit(entries)
    assert told[: len(tried)] == [
        (f"r{number}", key, status, transactions, path)
        for number, (status, _, transactions, key) in enumerate(tried, start=1)
    ]
    assert [got for got, *_ in tried] == [expected for _, expected, *_ in tried]
    assert told[len(tried) :] == [("r9", None, 401, None, ("/%1b[2J%0a%ff" + "x" * 1_000)[:256])]
    assert not any(each[0] == "r10" for each in told)
    assert "hunter" not in text
    assert "nameOrig" not in text
    assert "\x1b" not in text
    assert {each["logger"].partition(".")[0] for each in entries} >= {"fraudapp", "faust"}


def test_what_was_sent_is_told_to_people_as_well(worker: Worker) -> None:
    assert send(worker, "POST", "/transactions", b"[]", X_Request_ID="quiet") == 202
    line = next(each for each in worker.log.read_text().splitlines() if "audit:" in each)
    assert "POST /transactions by nobody known at 127.0.0.1: 202, transactions: 0" in line
    assert "request_id='quiet'" in line


def test_an_interrupt_is_told_in_json_too(new_worker: Callable[..., Worker]) -> None:
    worker = new_worker(FRAUD_LOG_FORMAT="json")
    os.kill(worker.child.pid, signal.SIGINT)
    assert worker.child.wait(30)
    for line in worker.log.read_text().splitlines():
        json.loads(line)
