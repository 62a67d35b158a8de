"""A policy that a key has put in force decides the next transaction, with its rules and lists."""

from __future__ import annotations

import json
from collections.abc import Callable
from email.message import Message
from typing import Any

from tests.support.messages import encoded, transaction
from tests.support.raw_http import named, send
from tests.support.worker import Worker

WRITER, ANN, BOB, BOTH = (f"the-secret-of-{name}" for name in ("writer", "ann", "bob", "both"))
KEYS = (
    f"writer:read+write:{WRITER},ann:read+author:{ANN},bob:read+approve:{BOB},"
    f"both:read+author+approve:{BOTH}"
)
LARGE = """[[rules]]
id = "large"
when = "amount > 1_000"
then = "block"
reason = "{amount:,.2f} is a lot."
owner = "payments"
"""
MULES = """[lists.mules]
field = "nameDest"
then = "block"
reason = "A mule."
owner = "fraud"
"""


def ask(
    worker: Worker, method: str, path: str, key: str, body: Any = None, **headers: str
) -> tuple[int, Message, Any]:
    """Status, headers and JSON of the answer."""
    sent = {"X-API-Key": key, "Content-Type": "application/json", **named(headers)}
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    status, told, answer = send(worker.url, method, path, None if body is None else content, sent)
    return status, told, json.loads(answer)


def put(worker: Worker, text: str, parent: str, key: str = ANN) -> tuple[int, Any]:
    """Status and JSON of the answer to a policy, once all partitions are decided by it."""
    path = "/policy?wait_seconds=30&note=of+a+test"
    headers = {"If_Match": parent, "Content_Type": "application/toml"}
    status, _, told = ask(worker, "PUT", path, key, text, **headers)
    return status, told


def decided(worker: Worker, id_: str, **changes: Any) -> dict[str, Any]:
    row = encoded(transaction(id_, **changes)).decode()
    status, _, decision = ask(worker, "POST", "/transactions?wait_seconds=30", WRITER, row)
    assert (status, decision["transaction_id"]) == (200, id_)
    return dict(decision)


def test_what_is_put_in_force_decides(new_worker: Callable[..., Worker]) -> None:
    worker = new_worker(FRAUD_API_KEYS=KEYS)
    small, large = {"amount": 10.0}, {"amount": 5_000.0}
    before = decided(worker, "before", **large)
    assert (before["policy_version"], "hits" in before) == ("flag-0.5-block-0.8", False)
    status, headers, told = ask(worker, "GET", "/policy", ANN)
    assert (status, headers["ETag"], told["number"]) == (200, '""', 0)

    status, told = put(worker, LARGE, headers["ETag"])
    assert (status, told["number"], told["in_force"]) == (200, 1, True)
    assert (told["acknowledged"], told["lagging"]) == (True, [])
    blocked = decided(worker, "blocked", **large)
    assert (blocked["decision"], blocked["hits"]) == ("BLOCK", ["large"])
    assert blocked["policy_version"] == told["version"] == "1+0"
    assert {"code": "RULE_LARGE", "text": "5,000.00 is a lot.", "contribution": 0.0} in blocked[
        "reasons"
    ]
    assert "hits" not in decided(worker, "small", **small)

    # Who has not seen it cannot take its place, nor what is wrong, nor who may not.
    status, outdated = put(worker, MULES, '""')
    assert (status, outdated["policy"]["id"]) == (409, told["id"])
    status, wrong = put(worker, LARGE.replace("amount >", "amoun >"), f'"{told["id"]}"')
    assert (status, wrong["errors"][0]["line"], wrong["errors"][0]["column"]) == (422, 3, 9)
    assert put(worker, MULES, f'"{told["id"]}"', WRITER)[0] == 403
    assert ask(worker, "PUT", "/policy", ANN, {"text": MULES})[0] == 428
    _, _, history = ask(worker, "GET", "/policy/history", WRITER)
    assert [each["author"] for each in history["policies"]] == ["ann"]

    status, told = put(worker, MULES, f'"{told["id"]}"')
    assert (status, told["number"], told["acknowledged"]) == (200, 2, True)
    adding = {"add": [{"value": "C-mule"}], "note": "seen"}
    assert ask(worker, "POST", "/lists/mules", WRITER, adding)[0] == 403
    assert ask(worker, "POST", "/lists/mules", ANN, adding)[0] == 200
    listed = decided(worker, "listed", **small, nameDest="C-mule")
    assert (listed["decision"], listed["reasons"][0]["code"]) == ("BLOCK", "LIST_MULES")
    _, _, now = ask(worker, "GET", "/policy", ANN)
    assert (listed["policy_version"], now["lists"]) == (now["version"], {"mules": 1})

    # Decided again by the first one: what it blocked, and what the list did.
    status, _, tried = ask(worker, "POST", "/policy/backtest", ANN, {"text": LARGE})
    assert (status, tried["rows"]) == (200, 4)
    assert tried["rules"][0]["hits"] == 2
    status, _, tried = ask(worker, "POST", "/policy/backtest", ANN, {"text": MULES, "decisions": 3})
    assert (status, tried["rows"] <= 3) == (200, True)

    # It is the same after a restart, and at another worker.
    assert worker.terminate() == 0
    worker.start()
    assert ask(worker, "GET", "/policy", ANN)[2]["id"] == now["id"]
    assert decided(worker, "after", **small, nameDest="C-mule")["decision"] == "BLOCK"
    _, text, _ = worker.text("/metrics", **{"X-API-Key": ANN})
    assert 'fraud_list_entries{list="mules"} 1.0' in text


def test_where_policies_need_approval_another_key_gives_it(
    new_worker: Callable[..., Worker],
) -> None:
    worker = new_worker(FRAUD_API_KEYS=KEYS, FRAUD_POLICY_APPROVAL="true")
    status, waiting = put(worker, LARGE, '""', BOTH)
    assert (status, waiting["fate"]) == (202, "waits for approval")
    assert decided(worker, "waiting", amount=5_000.0)["policy_version"] == "flag-0.5-block-0.8"
    path, asked = "/policy/approvals?wait_seconds=30", {"id": waiting["id"], "note": "agreed"}
    assert ask(worker, "POST", path, BOTH, asked)[0] == 403
    assert ask(worker, "POST", path, ANN, asked)[0] == 403
    status, _, told = ask(worker, "POST", path, BOB, asked)
    assert (status, told["approved_by"], told["acknowledged"]) == (200, "bob", True)
    assert decided(worker, "approved", amount=5_000.0)["hits"] == ["large"]
    assert ask(worker, "POST", path, BOB, asked)[0] == 409
