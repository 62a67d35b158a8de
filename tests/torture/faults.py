"""What is done to workers and servers, and when: a plan that its seed decides."""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
import signal
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from tests.torture.cluster import Cluster

log = logging.getLogger(__name__)

KILL_EVERY: Final = (20.0, 50.0)
"""Seconds between two kills of workers: from, to."""
FAULT_EVERY: Final = (35.0, 75.0)
"""Seconds between two faults of servers."""


class Tally(NamedTuple):
    """What was done, counted."""

    kills: list[str]
    faults: list[str]


async def kill_workers(cluster: Cluster, random_: random.Random, tally: Tally) -> None:
    """Kill, stop, pause, or rob a worker of its state, again and again until cancelled."""
    while True:
        await asyncio.sleep(random_.uniform(*KILL_EVERY))
        number = random_.randrange(len(cluster.workers))
        how = random_.choices(
            ["kill", "terminate", "pause", "wipe", "damage", "kill_all"], [8, 2, 3, 1, 1, 2]
        )[0]
        tally.kills.append(how)
        log.info("worker %d: %s", number, how)
        await _WORKER_FAULTS[how](cluster, number, random_)


async def break_servers(cluster: Cluster, random_: random.Random, tally: Tally) -> None:
    """Take servers down and bring them back, again and again until cancelled."""
    while True:
        await asyncio.sleep(random_.uniform(*FAULT_EVERY))
        names = random_.choices(
            [("redis",), ("postgres",), ("s3",), ("kafka",), ("redis", "postgres", "s3")],
            [3, 3, 3, 3, 2],
        )[0]
        how = random_.choice(["kill", "pause"])
        seconds = random_.uniform(2, 12 if "kafka" in names else 30)
        log.info("%s: %s for %.0f s", "+".join(names), how, seconds)
        for name in names:
            server = cluster.servers[name]
            tally.faults.append(f"{how} {name}")
            await asyncio.to_thread(server.kill if how == "kill" else server.pause)
        try:
            await asyncio.sleep(seconds)
        finally:
            for name in names:
                await asyncio.to_thread(cluster.servers[name].revive)


async def _kill(cluster: Cluster, number: int, random_: random.Random) -> None:
    cluster.workers[number].kill()


async def _kill_all(cluster: Cluster, number: int, random_: random.Random) -> None:
    for worker in cluster.workers:
        worker.kill()


async def _terminate(cluster: Cluster, number: int, random_: random.Random) -> None:
    child = cluster.workers[number].child
    if child.running:
        child.resume()
        child.send(signal.SIGTERM)


async def _pause(cluster: Cluster, number: int, random_: random.Random) -> None:
    child = cluster.workers[number].child
    if not child.running:
        return
    child.pause()
    await asyncio.sleep(random_.uniform(3, 20))  # its session ends after 6
    if child.running:
        child.resume()


async def _wipe(cluster: Cluster, number: int, random_: random.Random) -> None:
    async with _down(cluster, number):
        data = cluster.workers[number].data_dir
        for name in ("faust", "ledger"):
            shutil.rmtree(data / name, ignore_errors=True)


async def _damage(cluster: Cluster, number: int, random_: random.Random) -> None:
    async with _down(cluster, number):
        for path in cluster.workers[number].data_dir.glob("ledger/*/MANIFEST*"):
            path.write_bytes(b"garbage")


class _down:  # noqa: N801 - used as a function
    """Holds a worker down, so that its files can be touched."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        self._cluster, self._number = cluster, number

    async def __aenter__(self) -> None:
        self._cluster.expected_down.add(self._number)
        await asyncio.to_thread(self._cluster.workers[self._number].kill)

    async def __aexit__(self, *exc: object) -> None:
        self._cluster.workers[self._number].launch()
        self._cluster.expected_down.discard(self._number)


_WORKER_FAULTS: Final[dict[str, Callable[[Cluster, int, random.Random], Awaitable[None]]]] = {
    "kill": _kill,
    "kill_all": _kill_all,
    "terminate": _terminate,
    "pause": _pause,
    "wipe": _wipe,
    "damage": _damage,
}
