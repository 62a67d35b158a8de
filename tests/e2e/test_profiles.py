"""What accounts did before is known when a decision is made, and is in the decision."""

from __future__ import annotations

import asyncio
import json
import random
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path
from time import time
from typing import Any

import pytest

from data.cards.generator import write_csv
from data.cards.plan import Plan
from fraudapp.local.processes import free_port
from models.profiles.labels import due
from models.schema.schema import load
from tests.support import readback
from tests.support.decisions import id_in_partition
from tests.support.labels import in_labelled, send_labels
from tests.support.messages import send_transactions
from tests.support.remembered import (
    POLICY,
    SCHEMA,
    OnDisk,
    bursts,
    labels,
    logged,
    payment,
    verified,
)
from tests.support.worker import Worker, run

LABEL_DELAY = 4.0
PAYMENTS = 2_000
ROUNDS, ACCOUNTS = 6, 600
LAG = "fraud_profile_lag_seconds"


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the schema, a policy, and a model trained for it."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.toml").write_text(SCHEMA)
    (folder / "policy.toml").write_text(POLICY)
    plan = Plan(seed=3, customers=300, terminals=600, days=40, radius=20.0)
    write_csv(plan, folder / "cards.csv")
    environment = {
        "FRAUD_SCHEMA": str(folder / "shop.toml"),
        "FRAUD_DATA_DIR": str(folder / "data"),
    }
    done = run(["-m", "fraudapp", "train", str(folder / "cards.csv")], environment)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def remembering_worker(
    worker_environment: dict[str, str], shop: Path, tmp_path: Path
) -> Iterator[Callable[[], Worker]]:
    """Starts workers of the schema that remembers; the first one puts the policy in force."""
    started: list[Worker] = []

    def start() -> Worker:
        folder = tmp_path / f"data-{len(started)}"
        shutil.copytree(shop / "data" / "models", folder / "models")
        worker = Worker(
            worker_environment
            | {
                "FRAUD_SCHEMA": str(shop / "shop.toml"),
                "FRAUD_PROFILE_LABEL_DELAY": str(LABEL_DELAY),
                "FRAUD_DATA_DIR": str(folder),
                "FRAUD_WEB_PORT": str(free_port()),
            },
            tmp_path,
        )
        started.append(worker)
        worker.start()
        if len(started) == 1:
            policy = str(shop / "policy.toml")
            worker.run("policy", "apply", policy, "--author", "tests", "--wait", "20")
        return worker

    yield start
    for worker in started:
        worker.child.kill()


def decided(worker: Worker, transaction_id: str) -> dict[str, Any]:
    status, decision = worker.get(f"/transaction/{transaction_id}/status?wait_seconds=20")
    assert status == 200, decision
    return dict(decision)


async def test_a_decision_has_what_its_accounts_did_before(
    remembering_worker: Callable[..., Worker],
) -> None:
    worker = await asyncio.to_thread(remembering_worker)
    for number in range(4):
        await send_transactions(
            worker.environment, [payment(f"a{number}", "C1", "T1", 10.0 + number)]
        )
        decision = await asyncio.to_thread(decided, worker, f"a{number}")
        profile = decision["profile"]
        assert profile["sent"] == profile["taken"] == number
        assert profile["spent"] == sum(10.0 + each for each in range(number))
        assert profile.get("usual") == (profile["spent"] / number if number else None)
        assert decision["profile_version"].startswith("shop-")
        assert decision["decision"] == ("FLAG" if number == 3 else "APPROVE")
        assert decision.get("hits", []) == {0: ["new_card"], 3: ["often"]}.get(number, [])
    assert "3 times within the hour, for 33.00 in a day" in decision["reasons"][0]["text"]
    await send_transactions(worker.environment, [payment("b0", "C2", None, 5.0)])
    profile = (await asyncio.to_thread(decided, worker, "b0"))["profile"]
    assert profile.keys() == {"sent", "spent", "places"}


async def test_verifying_computes_what_decisions_were_made_with_though_their_worker_died(
    remembering_worker: Callable[..., Worker], shop: Path
) -> None:
    worker = await asyncio.to_thread(remembering_worker)
    environment, draw = worker.environment, random.Random(5)
    sent, killed = list[str](), list[float]()
    for burst in bursts(draw, "p", PAYMENTS):
        await send_transactions(environment, burst)
        sent += [each["transaction_id"] for each in burst]
        if len(sent) >= (len(killed) + 1) * PAYMENTS / 3 and len(killed) < 2:
            # Some of the burst may be decided by now.
            await send_labels(environment, labels(draw, sent, 20))
            worker.kill()
            killed.append(time())
            if len(killed) == 2:
                shutil.rmtree(worker.data_dir / "profiles")
            await asyncio.to_thread(worker.start)
        elif draw.random() < 0.5:
            await all_decided(worker, len(sent))
            await send_labels(environment, labels(draw, sent, 15))
    await all_decided(worker, len(sent))
    await labels_seen([worker])

    found = await asyncio.to_thread(verified, worker, "--show", str(PAYMENTS))
    assert found["compared"] == PAYMENTS + 4
    assert found["labels"] > 50
    assert found["unexplained"] == 0, found
    last = await last_before(environment, killed)
    assert {each["transaction_id"] for each in found["examples"]} <= last, found
    since = await asyncio.to_thread(verified, worker, "--since", iso(killed[0]))
    assert since["earlier"] + since["compared"] == found["compared"]
    assert 0 < since["compared"] < found["compared"]
    await is_recounted(worker, shop)


async def test_two_workers_know_of_each_other_through_a_death_and_a_return(
    remembering_worker: Callable[..., Worker], shop: Path
) -> None:
    one = await asyncio.to_thread(remembering_worker)
    other = await asyncio.to_thread(remembering_worker)
    environment, draw = one.environment, random.Random(6)
    for number in range(ROUNDS):
        # All accounts pay once in each round, in the same order.
        made = [
            payment(f"r{number}-{each}", f"C{each}", f"T{each}", draw.randrange(1, 50_000) / 100)
            for each in range(ACCOUNTS)
        ]
        if number == 2:
            await send_transactions(environment, made[: ACCOUNTS // 2])
            other.kill()
            await send_transactions(environment, made[ACCOUNTS // 2 :])
        elif number == 4:
            shutil.rmtree(other.data_dir / "profiles")
            starting = asyncio.create_task(asyncio.to_thread(other.start))
            for at in range(0, ACCOUNTS, 20):
                await send_transactions(environment, made[at : at + 20])
            await starting
        else:
            await send_transactions(environment, made)
        alive = [one] if number in (2, 3) else [one, other]
        await all_decided(one, (number + 1) * ACCOUNTS)
        for each in alive:
            await readback.eventually(lambda each=each: not metric(each, LAG))  # type: ignore[misc]
        ids = [each["transaction_id"] for each in made]
        await send_labels(environment, labels(draw, ids, 20))
    await labels_seen([one, other])

    found = await asyncio.to_thread(verified, one)
    assert found["compared"] == ROUNDS * ACCOUNTS + 4
    assert found["labels"] > 30
    assert found["unexplained"] == 0, found
    assert found["differing"] <= found["compared"] / 1_000, found
    await is_recounted(one, shop)
    await is_recounted(other, shop)


async def all_decided(worker: Worker, count: int) -> None:
    """Return once so many decisions are made."""
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] >= count)


async def labels_seen(workers: Sequence[Worker]) -> None:
    """Return once workers have decided in all partitions by all labels that there are."""
    environment = workers[0].environment
    last = max(each.timestamp for each in await in_labelled(environment)) / 1_000
    await readback.eventually(lambda: time() > due(last, LABEL_DELAY) + 1)
    ids = [id_in_partition(each, 0, 4) for each in range(4)]
    probes = [payment(id_, f"C{at}", f"T{at}", 1.0) for at, id_ in enumerate(ids)]
    await send_transactions(environment, probes)
    for each in ids:
        await asyncio.to_thread(decided, workers[0], each)


async def last_before(environment: Mapping[str, str], killed: Sequence[float]) -> set[str]:
    """The ids that were decided last in their partitions before a worker was killed.

    It had other decisions in flight then, which may not have got into the log.
    """
    moments: dict[int, dict[float, set[str]]] = defaultdict(lambda: defaultdict(set))
    for record in await readback.in_topic(environment, "decisions"):
        made = json.loads(record.value)
        at = datetime.fromisoformat(made["decided_at"].replace("Z", "+00:00")).timestamp()
        moments[record.partition][at].add(made["transaction_id"])
    found = set[str]()
    for of_partition in moments.values():
        for moment, following in pairwise(sorted(of_partition)):
            if any(moment <= each < following for each in killed):
                found |= of_partition[moment]
    return found


async def is_recounted(worker: Worker, shop: Path) -> None:
    """Fail unless the profiles that a worker leaves on its disk are a recount of the topics."""
    schema = load(shop / "shop.toml")
    log = await readback.in_topic(worker.environment, "decisions")
    ends = {each.partition: each.offset + 1 for each in sorted(log, key=lambda each: each.offset)}
    assert await asyncio.to_thread(worker.terminate) == 0
    while (disk := OnDisk(worker, schema)).next_offsets != ends:
        await asyncio.to_thread(worker.start)  # which reads the log to its end
        assert await asyncio.to_thread(worker.terminate) == 0
    disk.check(await logged(worker.environment), int(time()))


def metric(worker: Worker, name: str) -> float:
    """The value of a metric without labels."""
    _, text, _ = worker.text("/metrics")
    (value,) = re.findall(rf"^{name} (\S+)$", text, re.MULTILINE)
    return float(value)


def iso(moment: float) -> str:
    """A moment as an option takes it."""
    return datetime.fromtimestamp(moment, timezone.utc).isoformat()
