"""Every worker tells how good decisions were, exactly as the topics say."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.support import readback
from tests.support.labels import send_labels, told
from tests.support.messages import send_transactions, transaction
from tests.support.quality import in_topics
from tests.support.quality import told as told_of_quality
from tests.support.worker import Worker

TRANSACTIONS: Final = 3_000
POLICY: Final = """
flag_at = 0.0005
block_at = 0.001
explore = 0.1

[[rules]]
id = "large"
when = "amount > 200_000"
then = "block"
mode = "test"
reason = "{amount:,.2f} is a lot."
owner = "o"

[[rules]]
id = "small"
when = "amount < 50_000"
then = "flag"
reason = "{amount:,.2f} is little."
owner = "o"
"""
SOURCES: Final = ("confirmed", "chargeback", "analyst", "customer")


async def decide(worker: Worker, begin: int, end: int) -> None:
    made = [transaction(f"q-{number}") for number in range(begin, end)]
    await send_transactions(worker.environment, made)
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == end)


async def label(worker: Worker, random_: random.Random, begin: int, end: int) -> None:
    """Tell labels in any order: of several sources, more than once, and of ids that are unknown."""
    messages = []
    for _ in range(end - begin):
        id_ = f"q-{random_.randrange(begin, end)}"
        said = told(id_, random_.randint(0, 1), random_.choice(SOURCES))
        messages += [(id_.encode(), said)] * random_.choice([1, 1, 1, 3])
        if random_.random() < 0.05:
            unknown = f"unknown-{random_.randrange(1_000)}"
            messages.append((unknown.encode(), told(unknown)))
    await send_labels(worker.environment, messages)


async def all_tell(*workers: Worker) -> None:
    """Return once all workers tell what the topics come to."""

    def exact() -> bool:
        expected = asyncio.run(in_topics(workers[0].environment))
        answers = [each.get("/quality") for each in workers]
        # A worker that has just started may not know yet.
        return all(status == 200 and told_of_quality(of) == expected for status, of in answers)

    await readback.eventually(exact)


async def test_all_workers_tell_what_a_recount_of_the_topics_comes_to(
    new_worker: Callable[..., Worker], tmp_path: Path
) -> None:
    random_ = random.Random(1)
    one = await asyncio.to_thread(new_worker)
    other = await asyncio.to_thread(new_worker)
    await decide(one, 0, 500)  # by the thresholds of the settings
    (tmp_path / "policy.toml").write_text(POLICY)
    await asyncio.to_thread(
        one.run, "policy", "apply", str(tmp_path / "policy.toml"), "--note", "n", "--wait", "20"
    )
    await decide(one, 500, 1_500)
    await label(one, random_, 0, 2_000)  # some before their decisions
    await all_tell(one, other)

    sending = asyncio.create_task(label(one, random_, 0, 2_500))
    made = [transaction(f"q-{number}") for number in range(1_500, TRANSACTIONS)]
    await send_transactions(one.environment, made)
    await asyncio.to_thread(other.kill)
    await sending
    await readback.eventually(lambda: one.stats()["decisions"]["total"] == TRANSACTIONS)
    await label(one, random_, 0, TRANSACTIONS)
    await all_tell(one)
    await asyncio.to_thread(other.start)
    await label(one, random_, 0, TRANSACTIONS)
    await all_tell(one, other)

    quality = other.get("/quality")[1]
    policies = {each["policy"]: each["measured"] for each in quality["total"]["versions"]}
    assert set(policies) == {"1", *(each for each in policies if each.startswith("flag-"))}
    control = policies["1"]["control"]
    assert control["rows"] > 10
    assert control["recall"]["low"] < control["recall"]["value"] < control["recall"]["high"]
    assert {each["rule"] for each in quality["total"]["rules"]} == {"large", "small"}
    assert quality["total"]["maturity"]["decided"] == 0.0
    assert quality["mature"]["measured"]["rows"] == 0
    assert one.get("/quality")[1]["total"] == quality["total"]
    status, metrics, _ = one.text("/metrics")
    assert status == 200
    assert 'fraud_labelled_decisions{label="fraud",outcome="BLOCK"}' in metrics
