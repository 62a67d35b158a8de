"""Transactions are accepted over HTTP, and their decisions answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka.errors import KafkaConnectionError

from fraudapp import submit
from fraudapp.sinks.base import SinkUnavailable
from models.records import Transaction
from models.splitting import MAX_ITEM_BYTES, MAX_ITEMS
from tests.support.decisions import decision
from tests.support.transactions import transaction
from tests.support.views import PATIENCE, Client, ViewBench, view_bench

JSON = {"Content-Type": "application/json"}


def encoded(value: Any) -> bytes:
    return msgspec.json.encode(value)


def builtins(value: Any) -> Any:
    return msgspec.to_builtins(value)


async def posted(
    client: Client, body: bytes, query: str = "", **headers: str
) -> tuple[int, Any, dict[str, str]]:
    async with client.post(f"/transactions{query}", data=body, headers={**JSON, **headers}) as got:
        return got.status, await got.json(content_type=None), dict(got.headers)


def decides(bench: ViewBench, **changes: Any) -> Callable[[Transaction], None]:
    """Decides each transaction at once when it is sent, or one with changes in its place."""

    def decide(each: Transaction) -> None:
        of = msgspec.structs.replace(each, **changes)
        bench.decide(decision(each.transaction_id, transaction=of))

    return decide


async def test_a_transaction_is_accepted_once_kafka_has_it(
    bench: ViewBench, client: Client
) -> None:
    status, answer, headers = await posted(client, encoded(transaction("a b")))
    assert (status, answer) == (
        202,
        {
            "transaction_id": "a b",
            "status": "PENDING",
            "status_url": "/transaction/a%20b/status",
        },
    )
    assert headers["Location"] == "/transaction/a%20b/status"
    assert bench.producer.sent == [transaction("a b")]


@pytest.mark.parametrize("dots", [".", ".."])
async def test_an_id_that_means_something_in_a_path_is_asked_for_in_the_query(
    client: Client, dots: str
) -> None:
    _, answer, headers = await posted(client, encoded(transaction(dots)))
    assert headers["Location"] == f"/transaction/status?transaction_id={dots}"
    async with client.get(answer["status_url"]) as status:
        assert status.status == 202


async def test_a_caller_that_waits_gets_the_decision(bench: ViewBench, client: Client) -> None:
    bench.producer.decided_by = decides(bench)
    status, answer, headers = await posted(client, encoded(transaction()), "?wait_seconds=30")
    assert (status, answer) == (200, builtins(decision()))
    assert "Location" not in headers


async def test_a_waiting_caller_is_woken_by_the_decision(bench: ViewBench, client: Client) -> None:
    asking = asyncio.create_task(posted(client, encoded(transaction()), "?wait_seconds=30"))
    while not bench.worker.waiters.is_awaited("t1"):
        await asyncio.sleep(0.001)
    bench.decide(decision())
    status, answer, _ = await asyncio.wait_for(asking, PATIENCE)
    assert (status, answer) == (200, builtins(decision()))


async def test_an_id_that_has_another_payload_is_a_conflict(
    bench: ViewBench, client: Client
) -> None:
    bench.producer.decided_by = decides(bench, amount=1.0)
    status, problem, headers = await posted(client, encoded(transaction()), "?wait_seconds=30")
    assert status == problem["status"] == 409
    assert headers["Content-Type"] == "application/problem+json"
    assert problem["detail"] == "this transaction_id was used before, with another payload"
    assert problem["status_url"] == "/transaction/t1/status"


async def test_an_array_is_answered_in_its_order(bench: ViewBench, client: Client) -> None:
    sent = [transaction(each) for each in ("c", "a", "b")]
    status, answers, _ = await posted(client, encoded(sent))
    assert status == 202
    assert [each["transaction_id"] for each in answers] == ["c", "a", "b"]
    assert [each["status"] for each in answers] == ["PENDING"] * 3
    bench.producer.decided_by = decides(bench)
    status, answers, _ = await posted(client, encoded(sent), "?wait_seconds=30")
    assert status == 200
    assert answers == [builtins(decision(each.transaction_id)) for each in sent]


@pytest.mark.parametrize(("query", "expected"), [("", 202), ("?wait_seconds=30", 200)])
async def test_an_empty_array_is_answered_at_once(
    client: Client, query: str, expected: int
) -> None:
    status, answers, _ = await posted(client, b"[]", query)
    assert (status, answers) == (expected, [])


async def test_in_an_array_a_conflict_is_one_of_the_answers(
    bench: ViewBench, client: Client
) -> None:
    bench.decide(decision("used", transaction=transaction("used", amount=1.0)))
    bench.decide(decision("same"))
    sent = [transaction("used"), transaction("same")]
    status, answers, _ = await posted(client, encoded(sent), "?wait_seconds=30")
    conflict = {"transaction_id": "used", "status": "CONFLICT"}
    assert (status, answers) == (
        200,
        [{**conflict, "status_url": "/transaction/used/status"}, builtins(decision("same"))],
    )


async def test_an_array_is_accepted_while_one_of_it_is_not_decided(
    bench: ViewBench, client: Client
) -> None:
    bench.decide(decision("same"))
    sent = [transaction("same"), transaction("later")]
    status, answers, _ = await posted(client, encoded(sent), "?wait_seconds=0.05")
    assert (status, answers[0]) == (202, builtins(decision("same")))
    assert answers[1]["status"] == "PENDING"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b" " * MAX_ITEM_BYTES + encoded(transaction()), "a transaction is at most 65,536 bytes"),
        (b"x" * 200_001, "a body is at most 200,000 bytes"),
        (b"[" + b",".join([b"{}"] * (MAX_ITEMS + 1)) + b"]", "1000 transactions at once"),
    ],
    ids=["a transaction", "a body", "an array"],
)
async def test_what_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes, said: str
) -> None:
    bench = view_bench(tmp_path, monkeypatch, FRAUD_MAX_BODY_BYTES="200000")
    bench.become_ready()
    async with bench.served() as client:
        status, problem, headers = await posted(client, body)
    assert status == problem["status"] == 413
    assert said in problem["detail"]
    assert headers["Content-Type"] == "application/problem+json"
    assert not bench.producer.sent


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Encoding": "br"},
    ],
)
async def test_a_body_that_does_not_say_it_is_json_is_refused(
    bench: ViewBench, client: Client, headers: dict[str, str]
) -> None:
    status, problem, answered = await posted(client, encoded(transaction()), **headers)
    assert status == problem["status"] == 415
    assert ("Accept-Post" in answered) != ("Accept-Encoding" in answered)
    assert not bench.producer.sent


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (b"", [("", None)]),
        (b"{", [("", None)]),
        (encoded({**builtins(transaction()), "step": 0, "amount": "1"}), [("step", None)]),
        (encoded([transaction("ok"), {}, 5]), [("transaction_id", 1), ("", 2)]),
    ],
)
async def test_wrong_fields_are_named_and_nothing_is_accepted(
    bench: ViewBench, client: Client, body: bytes, errors: list[tuple[str, int | None]]
) -> None:
    status, problem, _ = await posted(client, body)
    assert status == problem["status"] == 422
    named = [(each["field"], each.get("index")) for each in problem["errors"]]
    for error in errors:
        assert error in named
    assert all(each["problem"] for each in problem["errors"])
    assert not bench.producer.sent
    assert not bench.parts.events


@pytest.mark.parametrize("seconds", ["nan", "-1", "30.1", "soon", ""])
async def test_an_invalid_wait_is_refused(bench: ViewBench, client: Client, seconds: str) -> None:
    query = f"?wait_seconds={seconds}"
    status, problem, _ = await posted(client, encoded(transaction()), query)
    assert status == 422
    assert [each["field"] for each in problem["errors"]] == ["wait_seconds"]
    assert not bench.producer.sent
    async with client.get(f"/transaction/t1/status{query}") as answer:
        assert answer.status == 422


async def test_a_broker_that_refuses_is_no_fault_of_the_caller(
    bench: ViewBench, client: Client
) -> None:
    bench.producer.failure = KafkaConnectionError("kafka-7.internal:9092 is away")
    status, problem, headers = await posted(client, encoded(transaction()))
    assert status == problem["status"] == 503
    assert problem["detail"] == "the broker does not answer; try again"
    assert headers["Retry-After"] == "2"


async def test_a_broker_that_is_silent_is_given_up(
    bench: ViewBench, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit, "SUBMIT_TIMEOUT", 0.01)
    bench.producer.silent = True
    status, problem, _ = await posted(client, encoded(transaction()))
    assert (status, problem["detail"]) == (503, "the broker does not answer; try again")
    async with client.get("/transaction/t1/status") as answer:  # it may arrive yet
        assert answer.status == 202


async def test_a_worker_that_has_not_started_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = view_bench(tmp_path, monkeypatch)
    async with bench.served() as client:
        status, problem, _ = await posted(client, encoded(transaction()))
        assert status == 503
        assert problem["detail"].endswith("this worker has not started yet")
        async with client.get("/transaction/t1/status") as answer:
            assert answer.status == 503
    assert not bench.producer.sent


async def test_a_bug_is_logged_and_not_shown_to_the_caller(
    bench: ViewBench, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    bench.producer.failure = ZeroDivisionError("of ours")
    status, problem, _ = await posted(client, encoded(transaction()))
    assert status == 500
    assert problem["detail"] == "an error on our side; it is in the log of this worker"
    (record,) = (each for each in caplog.records if each.name == "web.problems")
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ZeroDivisionError)


async def test_the_decision_is_told_whichever_way_the_id_is_given(
    bench: ViewBench, client: Client
) -> None:
    bench.decide(decision("a/b {c}"))
    for path in (
        "/transaction/a%2Fb%20%7Bc%7D/status",
        "/transaction/status?transaction_id=a/b {c}",
    ):
        async with client.get(path) as answer:
            assert answer.status == 200
            assert await answer.json() == builtins(decision("a/b {c}"))


async def test_an_undecided_transaction_is_pending(bench: ViewBench, client: Client) -> None:
    bench.parts.pending.known = {"elsewhere"}  # accepted by another worker
    await posted(client, encoded(transaction("here")))
    for transaction_id in ("here", "elsewhere"):
        async with client.get(f"/transaction/{transaction_id}/status") as answer:
            assert answer.status == 202
            assert (await answer.json())["status"] == "PENDING"
    assert bench.parts.pending.asked == ["elsewhere"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/transaction/t1/status", "no transaction 't1' is known"),
        ("/transaction/status?transaction_id=t1", "no transaction 't1' is known"),
        ("/transaction/status", "no transaction has such an id"),
        ("/transaction/a%00/status", "no transaction has such an id"),
        (f"/transaction/{'x' * 129}/status", "no transaction has such an id"),
    ],
)
async def test_an_unknown_transaction_is_not_found(client: Client, path: str, said: str) -> None:
    async with client.get(path) as answer:
        assert (answer.status, answer.content_type) == (404, "application/problem+json")
        assert said in (await answer.json())["detail"]


async def test_who_asks_and_waits_is_woken(bench: ViewBench, client: Client) -> None:
    asking = asyncio.ensure_future(client.get("/transaction/t1/status?wait_seconds=30"))
    while not bench.worker.waiters.is_awaited("t1"):
        await asyncio.sleep(0.001)
    bench.decide(decision())
    async with await asyncio.wait_for(asking, PATIENCE) as answer:
        assert (answer.status, await answer.json()) == (200, builtins(decision()))


async def test_who_waits_when_the_worker_stops_is_sent_elsewhere(
    bench: ViewBench, client: Client
) -> None:
    asking = asyncio.ensure_future(client.get("/transaction/t1/status?wait_seconds=30"))
    while not bench.worker.waiters.is_awaited("t1"):
        await asyncio.sleep(0.001)
    bench.worker.waiters.close()
    async with await asyncio.wait_for(asking, PATIENCE) as answer:
        problem = await answer.json()
    assert answer.status == 503
    assert problem["detail"].endswith("this worker is about to stop; ask another one")


def leaderless(bench: ViewBench) -> None:
    bench.parts.listener.partitions.clear()


def broker_away(bench: ViewBench) -> None:
    bench.parts.queries.failure = KafkaConnectionError("kafka-7.internal:9092")


def redis_away(bench: ViewBench) -> None:
    bench.parts.pending.failure = SinkUnavailable("redis: redis-1.internal:6379")


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (
            leaderless,
            "not known at present: a partition of the log of decisions cannot be read; try again",
        ),
        (broker_away, "the broker does not answer; try again"),
        (redis_away, "does not answer; try again"),
    ],
)
async def test_an_answer_not_known_at_present_is_a_503(
    bench: ViewBench, client: Client, cause: Callable[[ViewBench], None], said: str
) -> None:
    cause(bench)
    async with client.get("/transaction/t1/status") as answer:
        problem = await answer.json()
    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    assert problem["detail"].endswith(said)
    assert "internal" not in problem["detail"]
