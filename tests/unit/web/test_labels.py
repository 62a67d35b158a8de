"""Labels are accepted over HTTP, and those that are known are told."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from aiokafka.errors import KafkaConnectionError

from fraudapp import submit
from models.labels.records import Label, Labelled, Said, Source, labelled
from models.splitting import MAX_ITEM_BYTES
from tests.support.decisions import decision
from tests.support.views import Client, ViewBench, view_bench

JSON: Final = {"Content-Type": "application/json"}
AT: Final = datetime(2026, 4, 1, 8, tzinfo=timezone.utc)
TOLD: Final = {"label": 1, "source": "chargeback", "at": "2026-04-01T08:00:00Z", "by": "network"}
SECRETS: Final = {each: f"secret-of-the-key-{each}" for each in ("read", "write", "label")}


async def posted(
    client: Client, path: str, body: Any, **headers: str
) -> tuple[int, Any, dict[str, str]]:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    async with client.post(path, data=raw, headers={**JSON, **headers}) as got:
        return got.status, await got.json(content_type=None), dict(got.headers)


async def fetched(client: Client, path: str) -> tuple[int, Any]:
    async with client.get(path) as got:
        return got.status, await got.json(content_type=None)


def known(transaction_id: str = "t1") -> Labelled:
    said = {
        Source.ANALYST: Said(label=0, at=AT - timedelta(days=9), by="ann", offset=3),
        Source.CHARGEBACK: Said(label=1, at=AT, by="network", offset=7),
    }
    return labelled(decision(transaction_id), said)


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ViewBench:
    """A worker whose keys each have one scope, which is their name."""
    keys = ",".join(f"{scope}:{scope}:{secret}" for scope, secret in SECRETS.items())
    bench = view_bench(tmp_path, monkeypatch, FRAUD_API_KEYS=keys)
    bench.become_ready()
    return bench


async def test_a_label_is_accepted_once_kafka_has_it(bench: ViewBench, client: Client) -> None:
    status, answer, headers = await posted(client, "/transaction/a%20b/label", TOLD)
    url = "/transaction/a%20b/labels"
    assert (status, answer) == (
        202,
        {"transaction_id": "a b", "status": "ACCEPTED", "status_url": url},
    )
    assert headers["Location"] == url
    assert bench.producer.labels == [
        Label(transaction_id="a b", label=1, source=Source.CHARGEBACK, at=AT, by="network")
    ]
    assert bench.parts.events == [("send", "labels", "a b")]


@pytest.mark.parametrize("id_", [".", "..", "a/b", "t1"])
async def test_an_id_may_be_in_the_query(bench: ViewBench, client: Client, id_: str) -> None:
    path = f"/transaction/label?transaction_id={id_}"
    status, answer, _ = await posted(client, path, TOLD)
    assert (status, bench.producer.labels[0].transaction_id) == (202, id_)
    assert (await fetched(client, answer["status_url"]))[0] == 404
    bench.parts.known_labels.labelled[id_] = known(id_)
    assert (await fetched(client, answer["status_url"]))[0] == 200


async def test_a_label_without_a_time_was_learned_now(bench: ViewBench, client: Client) -> None:
    before = datetime.now(timezone.utc)
    told = {"label": False, "source": "customer", "by": "x", "unknown": {"more": 1}}
    assert (await posted(client, "/transaction/t1/label", told))[0] == 202
    (label,) = bench.producer.labels
    assert before <= label.at <= datetime.now(timezone.utc)
    assert label.label == 0


async def test_who_tells_it_is_the_key_unless_the_body_says_so(locked: ViewBench) -> None:
    key = {"X-API-Key": SECRETS["label"]}
    path, told = "/transaction/t1/label", {"label": 1, "source": "analyst"}
    async with locked.served() as client:
        assert (await posted(client, path, told, **key))[0] == 202
        assert (await posted(client, path, {**told, "by": "ann"}, **key))[0] == 202
    assert [each.by for each in locked.producer.labels] == ["label", "ann"]


@pytest.mark.parametrize("scope", ["read", "write", None])
async def test_no_other_key_may_tell_labels(locked: ViewBench, scope: str | None) -> None:
    headers = {"X-API-Key": SECRETS[scope]} if scope else {}
    async with locked.served() as client:
        for path in ("/transaction/t1/label", "/transaction/label?transaction_id=t1"):
            status, _, _ = await posted(client, path, TOLD, **headers)
            assert status == (403 if scope else 401)
    assert not locked.producer.labels


@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        ("t1", {}, ["label", "source", "by"]),
        ("t1", {**TOLD, "label": 2, "source": "me", "at": "now"}, ["label", "source", "at"]),
        ("t1", {**TOLD, "at": "2026-04-01T08:00:00", "by": ""}, ["at", "by"]),
        ("t1", {**TOLD, "by": "\x07", "label": "1"}, ["label", "by"]),
        ("t1", {**TOLD, "at": None}, ["at"]),
        ("t1", {**TOLD, "transaction_id": "t2"}, ["transaction_id"]),
        ("%07", TOLD, ["transaction_id"]),
        ("x" * 129, TOLD, ["transaction_id"]),
        ("t1", [TOLD], [""]),
        ("t1", b"{", [""]),
        ("t1", b'{"by": "\\ud800"}', [""]),
        ("t1", b"[" * 3_000, [""]),
    ],
)
async def test_each_wrong_field_is_named_and_nothing_is_sent(
    bench: ViewBench, client: Client, path: str, body: Any, fields: list[str]
) -> None:
    status, problem, headers = await posted(client, f"/transaction/{path}/label", body)
    assert (status, [each["field"] for each in problem["errors"]]) == (422, fields)
    assert headers["Content-Type"] == "application/problem+json"
    assert all(each["problem"] for each in problem["errors"])
    assert not bench.producer.labels


async def test_a_body_that_is_too_large_or_no_json_is_refused(client: Client) -> None:
    path = "/transaction/t1/label"
    assert (await posted(client, path, b" " * (MAX_ITEM_BYTES + 1)))[0] == 413
    assert (await posted(client, path, TOLD, **{"Content-Type": "text/plain"}))[0] == 415


async def test_a_broker_that_fails_or_is_silent_is_told(
    bench: ViewBench, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.producer.failure = KafkaConnectionError("down")
    assert (await posted(client, "/transaction/t1/label", TOLD))[0] == 503
    bench.producer.failure, bench.producer.silent = None, True
    monkeypatch.setattr(submit, "SUBMIT_TIMEOUT", 0.01)
    status, _, headers = await posted(client, "/transaction/t1/label", TOLD)
    assert (status, "Retry-After" in headers) == (503, True)


async def test_all_that_was_said_is_told_with_what_counts(bench: ViewBench, client: Client) -> None:
    bench.parts.known_labels.labelled["t1"] = known()
    chargeback = {"label": 1, "at": "2026-04-01T08:00:00Z", "by": "network"}
    analyst = {"label": 0, "at": "2026-03-23T08:00:00Z", "by": "ann"}
    assert await fetched(client, "/transaction/t1/labels") == (
        200,
        {
            **chargeback,
            "source": "chargeback",
            "conflicting": True,
            "transaction_id": "t1",
            "labels": {"chargeback": chargeback, "analyst": analyst},
        },
    )


async def test_without_a_label_the_answer_is_that_there_is_none_or_that_it_is_not_known_yet(
    bench: ViewBench, client: Client
) -> None:
    for path in ("t1", "%07", "x" * 129):
        assert (await fetched(client, f"/transaction/{path}/labels"))[0] == 404
    for behind in (None, 1):
        bench.parts.known_labels.behind = behind
        assert (await fetched(client, "/transaction/t1/labels"))[0] == 503
    bench.parts.known_labels.labelled["t1"] = known()
    assert (await fetched(client, "/transaction/t1/labels"))[0] == 200


async def test_the_status_of_a_decision_has_the_label_that_counts(
    bench: ViewBench, client: Client
) -> None:
    bench.decide(decision())
    plain = msgspec.to_builtins(decision())
    assert await fetched(client, "/transaction/t1/status") == (200, plain)
    bench.parts.known_labels.behind = None
    assert await fetched(client, "/transaction/t1/status") == (200, plain)
    bench.parts.known_labels.labelled["t1"] = known()
    label = {"label": 1, "at": "2026-04-01T08:00:00Z", "by": "network", "source": "chargeback"}
    expected = {**plain, "label": {**label, "conflicting": True}}
    assert await fetched(client, "/transaction/t1/status") == (200, expected)
