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
import shutil
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.torture.cluster import Cluster
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
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    folder = options.keep or Path(tempfile.mkdtemp(prefix="fraudapp-torture-"))
    folder.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(folder, options.workers)
    verdict = None
    try:
        cluster.start()
        verdict = asyncio.run(
            torture(cluster, minutes=options.minutes, seed=options.seed, rate=options.rate)
        )
    finally:
        cluster.stop()
        if verdict and verdict.held and not options.keep:
            shutil.rmtree(folder)
        else:
            log.info("logs and data are in %s", folder)
    print(f"torture: {verdict}", flush=True)  # noqa: T201
    sys.exit(0 if verdict.held else 1)


if __name__ == "__main__":
    main()
