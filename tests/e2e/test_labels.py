"""Labels are joined with decisions exactly once in effect, whoever dies meanwhile."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable

from tests.support import readback
from tests.support.labels import STRENGTH, in_labelled, is_exact, send_labels, told
from tests.support.messages import send_transactions, transaction
from tests.support.worker import Worker

COUNT = 1_500


async def test_labels_of_a_cluster_whose_workers_die_come_to_what_they_have_to(
    new_worker: Callable[..., Worker],
) -> None:
    one = await asyncio.to_thread(new_worker)
    other = await asyncio.to_thread(new_worker)
    environment = one.environment
    draw = random.Random(3)
    ids = [f"t{number}" for number in range(COUNT)]
    labels = [
        (id_.encode(), told(id_, draw.randint(0, 1), draw.choice(STRENGTH)))
        for id_ in (*ids, *draw.sample(ids, COUNT // 2))
    ]
    draw.shuffle(labels)

    # Half of the labels are there before any decision.
    await send_labels(environment, labels[: len(labels) // 2])
    sending = asyncio.create_task(send_transactions(environment, [transaction(id_) for id_ in ids]))
    await readback.eventually(lambda: len(asyncio.run(in_labelled(environment))) > COUNT / 10)
    one.kill()
    telling = asyncio.create_task(send_labels(environment, labels[len(labels) // 2 :]))
    await send_labels(environment, [(b"another key", told(id_, 1)) for id_ in ids[:50]])
    await asyncio.to_thread(one.start)
    other.kill()
    await asyncio.to_thread(other.start)
    await sending
    await telling
    last = [(None, b"no label"), (None, told("t2")), (b"t1", told("t1", 0, "confirmed"))]
    await send_labels(environment, last)

    def is_complete() -> bool:
        found = {each.key.decode() for each in asyncio.run(in_labelled(environment))}
        return found == {*ids} and asyncio.run(is_exact(environment))

    await readback.eventually(is_complete, timeout=120.0)
    letters = await readback.in_topic(environment, "dead_letters")
    assert {dict(each.headers)["reason"] for each in letters} == {b"invalid"}
    assert len({dict(each.headers)["offset"] for each in letters}) == 1
    for worker in (one, other):
        await readback.eventually(
            lambda each=worker: metric(each, "fraud_labels_known_lag_messages") == 0  # type: ignore[misc]
        )
    await readback.eventually(
        lambda: sum(metric(each, "fraud_labels_waiting") for each in (one, other)) == 0
    )


def metric(worker: Worker, name: str) -> float:
    """The value of a metric without labels."""
    _, text, _ = worker.text("/metrics")
    (value,) = re.findall(rf"^{name} (\S+)$", text, re.MULTILINE)
    return float(value)
