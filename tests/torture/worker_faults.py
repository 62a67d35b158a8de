"""Faults of workers."""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from tests.support.damage import FILES, WAYS
from tests.support.worker import Worker
from tests.torture.clocks import WRONG, wrong_clock
from tests.torture.cluster import Cluster

log = logging.getLogger(__name__)

STATE: Final = ("faust", "ledger", "labels", "labelled", "profiles", "quality")
"""Folders of what a worker knows, all of which topics have as well."""

WorkerFault = Callable[[Cluster, int, random.Random], Awaitable[None]]


async def kill(cluster: Cluster, number: int, random_: random.Random) -> None:
    """Crash it."""
    cluster.workers[number].kill()


async def kill_all(cluster: Cluster, number: int, random_: random.Random) -> None:
    """Crash every one."""
    for worker in cluster.workers:
        worker.kill()


async def terminate(cluster: Cluster, number: int, random_: random.Random) -> None:
    """Ask it to stop."""
    child = cluster.workers[number].child
    if child.running:
        child.resume()
        child.send(signal.SIGTERM)


async def pause(cluster: Cluster, number: int, random_: random.Random) -> None:
    """Freeze it for a while."""
    async with cluster.hands:
        child = cluster.workers[number].child
        if not child.running:
            return
        child.pause()
    await asyncio.sleep(random_.uniform(3, 20))  # its session ends after 6
    if child.running:
        child.resume()


async def wipe(cluster: Cluster, number: int, random_: random.Random) -> None:
    """Remove all that it knows, or some of it."""
    kinds = len(STATE) if random_.random() < 0.5 else random_.randint(1, len(STATE) - 1)
    names = random_.sample(STATE, kinds)
    log.info("worker %d loses %s", number, ", ".join(names))
    async with down(cluster, number):
        for name in names:
            shutil.rmtree(cluster.workers[number].data_dir / name, ignore_errors=True)


async def damage(cluster: Cluster, number: int, random_: random.Random) -> None:
    """Damage files of what it knows."""
    async with down(cluster, number):
        data = cluster.workers[number].data_dir
        folders = sorted({each.parent for each in data.glob("*/**/CURRENT")})
        for folder in folders:
            found = folder.glob(random_.choice(FILES))
            paths = sorted(path for path in found if path.is_file())  # one may be a folder by now
            for path in random_.sample(paths, min(1, len(paths))):
                way = random_.choice(list(WAYS))
                log.info("%s: %s", path.relative_to(data), way)
                WAYS[way](path)


async def change_clock(cluster: Cluster, number: int, random_: random.Random) -> None:
    """Start it anew with a clock that is wrong, or right again."""
    worker = cluster.workers[number]
    by = "" if is_wrong(worker) else random_.choice(WRONG)
    log.info("the clock of worker %d is now off by %s", number, by or "nothing")
    async with down(cluster, number):
        worker.environment = wrong_clock(worker.environment, by)


async def set_right(cluster: Cluster) -> None:
    """Start workers whose clocks are wrong anew, with right ones."""
    for number, worker in enumerate(cluster.workers):
        if is_wrong(worker):
            async with down(cluster, number, gently=True):
                worker.environment = wrong_clock(worker.environment, "")


def is_wrong(worker: Worker) -> bool:
    """Whether the clock of a worker is wrong."""
    return "FAKETIME" in worker.environment


async def change_version(cluster: Cluster, number: int, random_: random.Random) -> None:
    """Go back to the version before, or on to this one: stopped as in a roll-out, or killed."""
    worker = cluster.workers[number]
    async with down(cluster, number, gently=random_.random() < 0.7):
        worker.code = None if worker.code else cluster.before
    log.info("worker %d runs %s now", number, "the version before" if worker.code else "this one")


async def fill(cluster: Cluster, number: int, random_: random.Random) -> None:
    """Leave its disk without room for a while."""
    disk = cluster.disks.get(number)
    if disk is None:
        log.info("nothing can be mounted here, so no disk is filled")
        return
    disk.fill()
    # Not waited for: other faults meet a full disk, too.
    asyncio.get_running_loop().call_later(random_.uniform(3, 40), disk.make_room)


@asynccontextmanager
async def down(
    cluster: Cluster, *numbers: int, gently: bool = False, late: float = 0.0
) -> AsyncIterator[None]:
    """Holds workers down, so that their files can be touched; one such at a time.

    Stopped `gently`, they have all they know on disk. The first is started again, the others so
    many seconds `late`.
    """
    async with cluster.hands:
        cluster.expected_down.update(numbers)
        for number in numbers:
            worker = cluster.workers[number]
            if gently and worker.child.running:
                worker.child.resume()
                await asyncio.to_thread(worker.terminate)
            await asyncio.to_thread(worker.kill)
        try:
            yield
        finally:
            loop = asyncio.get_running_loop()
            for place, number in enumerate(numbers):  # the supervisor starts them
                wait = late if place else 0.0
                loop.call_later(wait, cluster.expected_down.subtract, [number])


WORKER_FAULTS: Final[dict[str, tuple[WorkerFault, int]]] = {
    "kill": (kill, 8),
    "terminate": (terminate, 2),
    "pause": (pause, 3),
    "wipe": (wipe, 1),
    "damage": (damage, 3),
    "clock": (change_clock, 2),
    "fill": (fill, 2),
    "version": (change_version, 4),
    "kill_all": (kill_all, 2),
}
"""Each with its weight."""
