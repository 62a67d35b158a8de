"""A policy is in force on all workers once the command says so, and decisions say which it was."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support import readback
from tests.support.archived import logged
from tests.support.messages import send_transactions, transaction
from tests.support.worker import Worker, run

RULE = """
[[rules]]
id = "{id}"
when = "{when}"
then = "block"
reason = "{{amount:,.2f}} is a lot."
owner = "o"
"""
CALM: dict[str, Any] = {"newbalanceOrig": 1e6, "oldbalanceOrg": 1e6, "type": "PAYMENT"}
"""Of a transaction that the model finds nothing about."""
PACE = 0.05


@pytest.fixture
async def two(new_worker: Callable[..., Worker]) -> list[Worker]:
    """Two workers, which share the partitions."""
    return await pair(new_worker, FRAUD_BROKER_SESSION_TIMEOUT="60")


async def pair(new_worker: Callable[..., Worker], **settings: str) -> list[Worker]:
    """Two workers with these settings, once both own partitions."""
    one = await asyncio.to_thread(new_worker, **settings)
    other = await asyncio.to_thread(new_worker, **settings)
    await readback.eventually(lambda: len(owners(one)) == 2)
    return [one, other]


def owners(worker: Worker) -> list[dict[str, Any]]:
    """The workers that own partitions."""
    workers = worker.get("/stats/details")[1]["workers"]
    owning = [each for each in workers if each["partitions"]]
    known = sorted(partition for each in owning for partition in each["partitions"])
    return owning if known == [*range(4)] else []


def policy(folder: Path, id_: str, when: str) -> str:
    """The path of a policy with one rule."""
    path = folder / f"{id_}.toml"
    path.write_text(RULE.format(id=id_, when=when))
    return str(path)


async def commanded(worker: Worker, *arguments: str) -> tuple[int, str]:
    """Exit code and output of a command."""
    done = await asyncio.to_thread(run, ["-m", "fraudapp", *arguments], worker.environment)
    return done.returncode, done.stdout + done.stderr


async def decided(worker: Worker, prefix: str, **fields: Any) -> list[dict[str, Any]]:
    """The decisions on 40 new transactions, as the log has them."""
    rows = [transaction(f"{prefix}-{n}", **CALM, **fields) for n in range(40)]
    await send_transactions(worker.environment, rows)
    for each in rows:
        path = f"/transaction/{each['transaction_id']}/status?wait_seconds=20"
        await readback.eventually(lambda path=path: worker.get(path)[0] == 200)  # type: ignore[misc]

    async def found() -> list[dict[str, Any]]:
        log = logged(await readback.in_topic(worker.environment, "decisions"))
        return [each for each in log if each["transaction_id"].startswith(f"{prefix}-")]

    await readback.eventually(lambda: len(asyncio.run(found())) == len(rows))
    return await found()


@asynccontextmanager
async def load(worker: Worker) -> AsyncIterator[None]:
    """A light load, of ten transactions every `PACE` seconds."""
    ended = asyncio.Event()

    async def send() -> None:
        number = 0
        while not ended.is_set():
            rows = [transaction(f"load-{number + n}", **CALM) for n in range(10)]
            number += len(rows)
            await send_transactions(worker.environment, rows)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(ended.wait(), PACE)

    task = asyncio.ensure_future(send())
    try:
        yield
    finally:
        ended.set()
        await task


async def test_what_is_waited_for_decides_everywhere_from_then_on(
    two: list[Worker], tmp_path: Path
) -> None:
    worker = two[0]
    found = await decided(worker, "before", amount=500.0)
    assert {each["policy_version"] for each in found} == {"flag-0.5-block-0.8"}
    async with load(worker):
        for number, (id_, when, outcome) in enumerate(
            [
                ("large", "amount > 100", "BLOCK"),
                ("huge", "amount > 1000", "APPROVE"),
                ("listed", "nameDest in @mules", "APPROVE"),
            ],
            start=1,
        ):
            file = policy(tmp_path, id_, when)
            code, said = await commanded(worker, "policy", "apply", file, "--wait", "60")
            assert code == 0, said
            assert f"version {number} is in force on all 4 partitions, of 2 workers" in said
            found = await decided(worker, id_, amount=500.0, nameDest="C7")
            assert {each["policy_version"] for each in found} == {f"{number}+0"}
            assert {each["decision"] for each in found} == {outcome}
        code, said = await commanded(worker, "lists", "add", "mules", "C7", "--wait", "60")
        assert code == 0, said
        found = await decided(worker, "mule", amount=500.0, nameDest="C7")
        assert {each["decision"] for each in found} == {"BLOCK"}
        (version,) = {each["policy_version"] for each in found}
        assert "list mules had 1 entries" in worker.run("policy", "show", version)
        code, said = await commanded(worker, "policy", "rollback", "1", "--wait", "60")
        assert code == 0, said
    found = await decided(worker, "back", amount=500.0)
    assert {(each["policy_version"], each["decision"]) for each in found} == {("4+0", "BLOCK")}
    for each in two:
        await readback.eventually(lambda: each.stats()["policy_version"] == "4+0")  # noqa: B023


async def test_a_worker_that_does_not_answer_is_named(two: list[Worker], tmp_path: Path) -> None:
    stopped, other = two
    os.kill(stopped.child.pid, signal.SIGSTOP)
    try:
        file = policy(tmp_path, "large", "amount > 100")
        code, said = await commanded(other, "policy", "apply", file, "--wait", "3")
    finally:
        os.kill(stopped.child.pid, signal.SIGCONT)
    assert code == 4, said
    assert "version 1 is in force\n" in said
    lines = re.findall(r"partition \d: worker \S+:(\d+) reports version (\S+), [\d.]+ s ago", said)
    assert {*lines} == {(stopped.environment["FRAUD_WEB_PORT"], "flag-0.5-block-0.8")}
    assert len(lines) == 2
    code, said = await commanded(other, "policy", "apply", file, "--wait", "60")
    assert code == 0, said
    assert "version 1 is in force on all 4 partitions, of 2 workers" in said
