"""One run: load and faults for so long, then everything is healed, and judged twice."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from tests.torture.anew import begun_anew
from tests.torture.callers import Callers
from tests.torture.cluster import Cluster
from tests.torture.faults import ALL, Faults
from tests.torture.gate import Gate
from tests.torture.load import Load
from tests.torture.memory import compare_stopped
from tests.torture.policies import Policies
from tests.torture.senders import Senders
from tests.torture.settling import settled
from tests.torture.strangers import Strangers
from tests.torture.telling import Telling
from tests.torture.transactional import Transactional
from tests.torture.verdict import Verdict, judge
from tests.torture.worker_faults import is_wrong, set_right
from tests.torture.written import Written

log = logging.getLogger(__name__)


PARTS: Final = ("transactions", "strangers", "policies", "labels")


class Plan(NamedTuple):
    """What is done in a run."""

    seconds: float
    seed: int
    rate: float
    """Messages a second."""
    only: Sequence[str] = ALL
    """Kinds of faults."""
    pace: float = 1.0
    """Of the usual time between two faults."""
    without: Sequence[str] = ()
    """Parts of the load, of `PARTS`, that are left out."""
    sinks: Sequence[str] = ()
    """Faults of sinks that are done one after the other, in place of those by chance."""


async def torture(cluster: Cluster, plan: Plan) -> Verdict:
    """Break things for so long, heal everything, and judge; begin anew, and judge again."""
    gate, written, verdict = Gate(), Written(), Verdict()
    faults = Faults(cluster, gate, written, only=plan.only, pace=plan.pace)
    supervising = asyncio.create_task(cluster.supervise())
    async with Senders(cluster.broker, gate, written) as senders:
        load = Load(senders, written, _random("load", plan), plan.rate)
        callers = Callers(cluster, gate, load, written, _random("callers", plan))
        sender = Transactional(cluster.broker, gate, load, written, _random("sender", plan))
        strangers = Strangers(cluster.broker, gate, load, written, _random("strangers", plan))
        of_policies = _random("policies", plan)
        models = cluster.models.distributed() if cluster.models else None
        policies = Policies(
            cluster.broker, gate, of_policies, remembers=cluster.remembers, models=models
        )
        telling = Telling(senders, load, written, _random("labels", plan), plan.rate)
        traffic = [load.send, callers.ask, callers.post]
        traffic += [] if "transactions" in plan.without else [sender.send]
        traffic += [] if "strangers" in plan.without else [strangers.write]
        traffic += [] if "policies" in plan.without else [policies.write]
        if cluster.remembers and "labels" not in plan.without:
            traffic.append(telling.tell)
        flowing = [asyncio.create_task(each()) for each in traffic]
        trouble = [
            asyncio.create_task(faults.of_workers(_random("workers", plan))),
            asyncio.create_task(faults.of_servers(_random("servers", plan))),
            asyncio.create_task(faults.of_stores(_random("stores", plan), plan.sinks)),
        ]
        await _unless_failed([*trouble, *flowing, supervising], plan.seconds)
        await _end(*trouble)
        await asyncio.to_thread(cluster.heal)
        await asyncio.sleep(2)  # a little traffic after the last fault
        await _end(*flowing)
    log.info("healed; %d messages sent, waiting until all have come to rest", load.sent)
    if "purge" in faults.tally.faults:  # what was stamped since goes now, and does not come back
        await faults.to_stores("purge", random.Random())
        await faults.to_stores("set_back", random.Random(plan.seed))
    rested = True
    if any(map(is_wrong, cluster.workers)):
        rested = await settled(cluster, cluster.workers, labels=False)
        await set_right(cluster)
    rested = rested and await settled(cluster, cluster.workers)
    memory = await judge(cluster, written, callers, verdict, exact=faults.tally.calm)
    if memory:
        await compare_stopped(cluster, memory, verdict)
    verdict.complain()
    log.info("judged: %s; all workers begin anew", verdict)
    if rested and (rested := await begun_anew(cluster, written, verdict)):
        memory = await judge(cluster, written, callers, verdict, exact=faults.tally.calm)
        if memory:
            await compare_stopped(cluster, memory, verdict)
    if not rested:
        verdict.lost.append(
            "what is left to be done when this was given up: the cluster has no rest"
        )
    await _end(supervising)
    verdict.doubled += callers.wrong
    verdict.complain()
    log.info("done: %s; worker restarts: %d", faults.tally, cluster.restarts)
    log.info(
        "%d answers compared, %d elsewhere; transactions %s; %d foreign records; published %s; "
        "told %s",
        *(callers.answers, callers.elsewhere, sender.ends, strangers.count),
        *(dict(policies.count), dict(telling.count)),
    )
    verdict.kills, verdict.faults = len(faults.tally.kills), len(faults.tally.faults)
    return verdict


async def _unless_failed(tasks: Sequence[asyncio.Task[None]], seconds: float) -> None:
    """Wait so long; raises what one of the tasks has raised."""
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        task.result()  # the torturer itself has failed


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _random(name: str, plan: Plan) -> random.Random:
    return random.Random(f"{name}-{plan.seed}")
