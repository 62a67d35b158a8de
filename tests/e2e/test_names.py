"""People's names survive HTTP, Kafka and every sink unchanged."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import quote

from aiohttp import ClientSession

from tests.support import readback
from tests.support.messages import encoded, send_transactions, transaction
from tests.support.names import AWKWARD, REAL, WRONG
from tests.support.worker import Worker


async def test_names_of_people_are_decided_kept_and_found(worker: Worker) -> None:
    rows = [transaction(name, nameOrig=name, nameDest=name[::-1]) for name in REAL]
    rows = [each | {"isFlaggedFraud": 1} for each in rows]
    over_http, over_kafka = rows[::2], rows[1::2]
    for each in over_http:
        status, decision = worker.post("/transactions?wait_seconds=20", encoded(each))
        assert status == 200, (each, decision)
        assert decision["transaction"] == each
    await send_transactions(worker.environment, over_kafka)
    for each in rows:
        path = f"/transaction/{quote(each['transaction_id'], safe='')}/status?wait_seconds=20"
        status, decision = await asyncio.to_thread(worker.get, path)
        assert (status, decision["transaction"]) == (200, each)
    await readback.everywhere(worker.environment, len(rows))
    sent = {each["transaction_id"]: each for each in rows}
    in_redis = readback.in_redis(worker.environment)
    assert {id_: each["transaction"] for id_, each in in_redis.items()} == sent
    archived = await readback.in_s3(worker.environment)
    assert {each["transaction_id"]: each["transaction"] for each in archived} == sent
    history = await readback.in_postgres(worker.environment)
    assert {id_: row["name_orig"] for id_, row in history.items()} == {id_: id_ for id_ in sent}
    await readback.eventually(lambda: worker.get("/stats/details")[1]["recent"]["blocked"])
    assert worker.stats()["dead_letters"]["total"] == 0


async def test_every_id_is_asked_for_by_the_url_that_was_given(worker: Worker) -> None:
    rows = [transaction(id_) for id_ in AWKWARD]
    status, pending = await asyncio.to_thread(
        worker.post, "/transactions", json.dumps(rows).encode()
    )
    assert status == 202
    where = {each["transaction_id"]: each["status_url"] for each in pending}
    assert where.keys() == set(AWKWARD)
    async with ClientSession(worker.url) as session:
        for id_, url in where.items():
            patient = f"{url}{'&' if '?' in url else '?'}wait_seconds=20"
            async with session.get(patient) as answer:
                assert (answer.status, (await answer.json())["transaction_id"]) == (200, id_)
            assert worker.get(url)[1]["transaction_id"] == id_  # by another client
            in_query = f"/transaction/status?transaction_id={quote(id_, safe='')}"
            assert worker.get(in_query) == worker.get(url)
            another = encoded(transaction(id_, seed=1))
            status, problem = worker.post("/transactions?wait_seconds=9", another)
            assert (status, problem["status_url"]) == (409, url)


async def test_what_no_name_holds_is_told_everywhere(worker: Worker) -> None:
    for number, (text, told) in enumerate(WRONG.items()):
        row = transaction(f"t{number}", nameOrig=text)
        status, problem = worker.post("/transactions", encoded(row))
        assert status == 422
        assert problem["errors"] == [{"field": "nameOrig", "problem": f"must not hold {told}"}]
        assert worker.get(f"/transaction/{quote(text, safe='')}/status")[0] == 404
    rows = [transaction(f"t{number}", nameDest=text) for number, text in enumerate(WRONG)]
    await send_transactions(worker.environment, rows)
    await readback.eventually(lambda: worker.stats()["dead_letters"]["total"] == len(rows))
    dead_letters = await readback.in_topic(worker.environment, "dead_letters")
    details = {dict(dead_letter.headers)["detail"].decode() for dead_letter in dead_letters}
    assert details == {f"nameDest: must not hold {told}" for told in WRONG.values()}
    listed = worker.run("dead-letters", "list")
    assert all(detail in listed for detail in details)
    assert worker.stats()["decisions"]["total"] == 0
