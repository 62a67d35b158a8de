"""Breaks workers, stores and the broker under load, and checks that no promise is broken.

    make torture MINUTES=30 SEED=1

The last line is `torture: lost=0 doubled=0 miscounted=0 events=N kills=K faults=F`; the exit code
is 0 only if all held. With the same seed the same is done at the same times; what is hit differs.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.torture.cluster import Cluster, on_cluster
from tests.torture.faults import Tally, break_servers, kill_workers
from tests.torture.load import Load
from tests.torture.verdict import Verdict, judge, settled

log = logging.getLogger("torture")


async def torture(cluster: Cluster, *, minutes: float, seed: int, rate: float) -> Verdict:
    """Break things for so long, heal everything, and judge."""
    load = Load(cluster, random.Random(f"load-{seed}"), rate)
    tally = Tally([], [])
    supervising = asyncio.create_task(cluster.supervise())
    trouble = [
        asyncio.create_task(kill_workers(cluster, random.Random(f"workers-{seed}"), tally)),
        asyncio.create_task(break_servers(cluster, random.Random(f"servers-{seed}"), tally)),
    ]
    traffic = [asyncio.create_task(load.send()), asyncio.create_task(load.ask())]
    done, _ = await asyncio.wait(
        [*trouble, *traffic, supervising],
        timeout=minutes * 60,
        return_when=asyncio.FIRST_COMPLETED,  # none of them ends by itself, unless it fails
    )
    await _end(*trouble)
    await asyncio.to_thread(cluster.heal)
    await asyncio.sleep(2)  # a little traffic after the last fault
    await _end(*traffic)
    log.info("healed; %d messages sent, waiting until all have come to rest", load.sent)
    await settled(cluster)
    await _end(supervising)
    for task in done:
        task.result()  # the torturer itself has failed
    verdict = await judge(cluster, load)
    verdict.complain()
    log.info("workers: %s", dict(Counter(tally.kills)))
    log.info("servers: %s", dict(Counter(tally.faults)))
    log.info(
        "%d answers compared; workers were started again %d times after they had ended",
        len(load.told),
        cluster.restarts,
    )
    verdict.kills, verdict.faults = len(tally.kills), len(tally.faults)
    return verdict


async def held(cluster: Cluster, options: argparse.Namespace) -> bool:
    """Torture, print the line that programs read, and return whether every promise was kept."""
    verdict = await torture(cluster, minutes=options.minutes, seed=options.seed, rate=options.rate)
    print(f"torture: {verdict}", flush=True)  # noqa: T201
    return verdict.held


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def main() -> None:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=400.0, help="messages a second")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="keep logs and data in this folder")
    options = parser.parse_args()
    on_cluster(options.workers, lambda cluster: held(cluster, options), options.keep)


if __name__ == "__main__":
    main()
