"""The answers of the HTTP API, for good requests and bad ones."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.messages import encoded, transaction
from tests.support.worker import Worker


@pytest.fixture
def problems(worker: Worker) -> list[tuple[str, str, bytes | None, int, str]]:
    return [
        ("GET", "/nothing/here", None, 404, "/nothing/here"),
        ("GET", "/transaction/unknown/status", None, 404, "unknown"),
        ("DELETE", "/stats", None, 405, "DELETE"),
        ("GET", "/transactions", None, 405, "GET"),
        ("GET", "/table/", None, 404, "/table"),
        ("GET", "/router/", None, 404, "/router"),
        *[
            ("GET", f"/transaction/a/status?wait_seconds={text}", None, 422, "wait_seconds")
            for text in ("nan", "inf", "-1", "30.1", "abc", "", "1e999")
        ],
        ("POST", "/transactions?wait_seconds=99", encoded(transaction("a")), 422, "wait_seconds"),
        ("POST", "/transactions", b"", 422, "empty"),
        ("POST", "/transactions", b"{", 422, "not valid JSON"),
        ("POST", "/transactions", b"[{", 422, "not valid JSON"),
        ("POST", "/transactions", b"[5]", 422, "must be a JSON object"),
        ("POST", "/transactions", b"[" * 50_000, 422, "JSON"),
        ("POST", "/transactions", b"\xff", 422, "not valid JSON"),
        ("POST", "/transactions", b"x" * 3_000_000, 413, "size"),
        (
            "POST",
            "/transactions",
            json.dumps([transaction(f"m{number}") for number in range(1_001)]).encode(),
            413,
            "1000",
        ),
    ]


def test_every_error_is_a_problem_that_says_what_is_wrong(
    worker: Worker, problems: list[tuple[str, str, bytes | None, int, str]]
) -> None:
    for method, path, body, expected, said in problems:
        status, problem = worker.request(method, path, body)
        assert status == expected == problem["status"], (method, path, problem)
        assert said in json.dumps(problem), (method, path, problem)
        assert {"type", "title", "detail"} <= set(problem)
    assert worker.stats()["decisions"]["total"] == 0


def test_each_bad_field_of_each_transaction_is_named_and_nothing_is_accepted(
    worker: Worker,
) -> None:
    body = [transaction("ok"), transaction("bad", amount="1", step=0), 5]
    status, problem = worker.post("/transactions", json.dumps(body).encode())
    assert status == 422
    assert [(error["index"], error["field"]) for error in problem["errors"]] == [
        (1, "step"),
        (1, "amount"),
        (2, ""),
    ]
    assert worker.get("/transaction/ok/status")[0] == 404


def test_transactions_are_accepted_and_decided(worker: Worker) -> None:
    status, accepted = worker.post("/transactions", encoded(transaction("a b/ü")))
    assert status == 202
    assert accepted["status"] == "PENDING"
    status, decision = worker.get(accepted["status_url"] + "?wait_seconds=10")
    assert (status, decision["transaction_id"]) == (200, "a b/ü")

    status, decision = worker.post("/transactions?wait_seconds=10", encoded(transaction("one")))
    assert (status, decision["transaction"]) == (200, transaction("one"))
    assert worker.get("/transaction/one/status") == (200, decision)

    many = [transaction(f"m{number}") for number in range(1_000)]
    status, decisions = worker.post("/transactions?wait_seconds=20", json.dumps(many).encode())
    assert status == 200
    assert [each["transaction"] for each in decisions] == many

    status, again = worker.post("/transactions?wait_seconds=10", encoded(transaction("one")))
    assert (status, again) == (200, decision)
    other = encoded(transaction("one", seed=1))
    status, problem = worker.post("/transactions?wait_seconds=10", other)
    assert (status, problem["status_url"]) == (409, "/transaction/one/status")

    assert worker.post("/transactions", b"[]") == (202, [])
    assert worker.get("/healthz")[0] == worker.get("/readyz")[0] == 200


def test_many_wait_for_many_at_once(worker: Worker) -> None:
    def ask(number: int) -> tuple[int, Any]:
        return worker.get(f"/transaction/w{number % 20}/status?wait_seconds=20")

    with ThreadPoolExecutor(101) as pool:
        asked = [pool.submit(ask, number) for number in range(100)]
        body = json.dumps([transaction(f"w{number}") for number in range(20)]).encode()
        assert worker.post("/transactions", body)[0] == 202
        answers = [each.result() for each in asked]
    assert [status for status, _ in answers] == [200] * 100
    assert [each["transaction_id"] for _, each in answers] == [f"w{n % 20}" for n in range(100)]
