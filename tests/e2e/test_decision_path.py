"""From a transaction to its decision in every sink, on real servers."""

from __future__ import annotations

import json
import random
from datetime import datetime, timezone
from pathlib import Path

from tests.support import readback
from tests.support.messages import bad_messages, encoded, send, send_transactions, transaction
from tests.support.worker import Worker, run

DEMO = (
    '{"transaction_id":"demo1","step":1,"type":"TRANSFER","amount":250000,"nameOrig":"C1",'
    '"oldbalanceOrg":0,"newbalanceOrig":0,"nameDest":"C2","oldbalanceDest":0,"newbalanceDest":0,'
    '"isFraud":0,"isFlaggedFraud":0}'
)


def test_the_example_of_the_readme_works(worker: Worker) -> None:
    topic = worker.environment["FRAUD_TRANSACTIONS_TOPIC"]
    faust = ("-m", "faust", "-A", "fraudapp.app")
    worker.run("send", topic, DEMO, program=faust)
    status, decision = worker.get("/transaction/demo1/status?wait_seconds=5")
    assert status == 200
    assert decision["decision"] in {"APPROVE", "FLAG", "BLOCK"}
    assert decision["transaction"] == json.loads(DEMO)

    flagged = DEMO.replace("demo1", "demo2").replace('"isFlaggedFraud":0', '"isFlaggedFraud":1')
    worker.run("send", topic, flagged, program=faust)
    status, decision = worker.get("/transaction/demo2/status?wait_seconds=5")
    assert (status, decision["decision"]) == (200, "BLOCK")
    assert decision["reasons"][0]["code"] == "FLAGGED_UPSTREAM"


async def test_every_decision_is_in_every_sink_and_counted(worker: Worker, tmp_path: Path) -> None:
    rows = [transaction(f"t{number}") for number in range(3_000)]
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"\n".join(map(encoded, rows)))
    assert "3000 transactions sent" in worker.run("publish", str(file), "--quiet")
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == len(rows))
    await readback.everywhere(worker.environment, len(rows))

    sent = {row["transaction_id"]: row for row in rows}
    in_redis = readback.in_redis(worker.environment)
    assert {id_: each["transaction"] for id_, each in in_redis.items()} == sent
    archived = await readback.in_s3(worker.environment)
    assert len(archived) == len(rows)
    assert {each["transaction_id"]: each for each in archived} == in_redis
    published = await readback.in_topic(worker.environment, "decisions")
    assert {record.key.decode(): json.loads(record.value) for record in published} == in_redis
    history = await readback.in_postgres(worker.environment)
    assert {id_: row["score"] for id_, row in history.items()} == {
        id_: each["score"] for id_, each in in_redis.items()
    }
    assert worker.stats()["decisions"] == readback.outcomes(history)
    today = str(datetime.now(timezone.utc).date())
    report = json.loads(worker.run("daily-report", "--date", today, "--format", "json"))
    assert report["total"] == len(rows)
    assert report["by_decision"] == {
        outcome: count
        for outcome, count in readback.outcomes(history).items()
        if outcome != "total"
    }

    worker.run("publish", str(file), "--quiet")  # the same again
    await readback.eventually(lambda: worker.stats()["duplicates"] == len(rows))
    assert await readback.in_postgres(worker.environment) == history
    assert worker.stats()["decisions"]["total"] == len(rows)


async def test_bad_messages_become_dead_letters_and_cost_good_ones_nothing(
    worker: Worker,
) -> None:
    good = [transaction(f"good-{number}") for number in range(1_000)]
    bad = list(bad_messages(200))
    mixed: list[tuple[bytes | None, bytes | None]] = [(None, raw) for raw in bad]
    mixed += [(each["transaction_id"].encode(), encoded(each)) for each in good]
    random.Random(7).shuffle(mixed)
    await send(worker.environment, mixed)

    def settled() -> bool:
        stats = worker.stats()
        return (stats["decisions"]["total"], stats["dead_letters"]["total"]) == (1_000, 200)

    await readback.eventually(settled)
    await readback.everywhere(worker.environment, len(good))
    assert set(await readback.in_postgres(worker.environment)) == {
        each["transaction_id"] for each in good
    }
    dead_letters = await readback.in_topic(worker.environment, "dead_letters")
    assert sorted(dead_letter.value or b"" for dead_letter in dead_letters) == sorted(
        raw or b"" for raw in bad
    )
    sources = await readback.in_topic(worker.environment, "transactions")
    values = {(record.partition, record.offset): record.value for record in sources}
    for dead_letter in dead_letters:
        headers = {name: value.decode() for name, value in dead_letter.headers}
        assert headers["reason"] == "invalid"
        assert headers["detail"]
        assert headers["topic"] == worker.environment["FRAUD_TRANSACTIONS_TOPIC"]
        where = int(headers["partition"]), int(headers["offset"])
        assert values[where] == dead_letter.value

    listed = worker.run("dead-letters", "list", "--limit", "500")
    assert "200 dead letters" in listed
    wrong_type = next(
        dead_letter
        for dead_letter in dead_letters
        if b'"amount": "2.5"' in (dead_letter.value or b"")
    )
    name = f"{wrong_type.partition}:{wrong_type.offset}"
    assert "amount: expected `float`, got `str`" in next(
        line for line in listed.splitlines() if line.split()[0] == name
    )
    repaired = transaction("bad-2")
    worker.run("dead-letters", "replay", name, "--value", json.dumps(repaired))
    status, decision = worker.get("/transaction/bad-2/status?wait_seconds=10")
    assert status == 200
    assert decision["transaction"] == repaired

    # All at once: what is still bad becomes a new dead letter, and is not sent for ever.
    assert "200 messages sent" in worker.run("dead-letters", "replay", "--all")
    await readback.eventually(lambda: worker.stats()["dead_letters"]["total"] == 400)
    shown = worker.run("dead-letters", "list", "--limit", "1", "--json")
    assert json.loads(shown)["reason"] == "invalid"
    assert (
        "no name of a dead letter"
        in run(["-m", "fraudapp", "dead-letters", "show", "x"], worker.environment).stderr
    )


async def test_an_id_is_decided_once_whatever_is_sent_under_it(worker: Worker) -> None:
    first, other = transaction("same"), transaction("same", seed=1)
    await send_transactions(worker.environment, [first])
    _, decision = worker.get("/transaction/same/status?wait_seconds=10")
    # In any partition: keys decide which.
    for number in range(8):
        await send(worker.environment, [(b"key-%d" % number, encoded(first))])
        await send(worker.environment, [(b"key-%d" % number, encoded(other))])
    await readback.eventually(lambda: worker.stats()["dead_letters"]["total"] == 8)
    await readback.eventually(lambda: worker.stats()["duplicates"] == 8)
    assert worker.get("/transaction/same/status") == (200, decision)
    assert worker.stats()["dead_letters"] == {"total": 8, "conflict": 8}
    assert worker.stats()["decisions"]["total"] == 1
    await readback.everywhere(worker.environment, 1)
    assert list(await readback.in_postgres(worker.environment)) == ["same"]
