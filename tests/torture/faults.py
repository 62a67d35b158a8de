"""The schedule of faults of workers, servers and their data, as the seed decides."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.torture.cluster import Cluster
from tests.torture.gate import Gate
from tests.torture.store_faults import STORE_FAULTS
from tests.torture.tally import Tally
from tests.torture.worker_faults import WORKER_FAULTS
from tests.torture.written import Written

log = logging.getLogger(__name__)

WORKER_FAULT_INTERVAL: Final = (20.0, 50.0)
"""Seconds between two faults of workers: from, to."""
SERVER_FAULT_INTERVAL: Final = (35.0, 75.0)
"""Seconds between two faults of servers."""
SINK_FAULT_INTERVAL: Final = (50.0, 110.0)
"""Seconds between two faults of what sinks and broker hold."""
SERVERS: Final = {
    ("redis",): 3,
    ("postgres",): 3,
    ("s3",): 3,
    ("kafka",): 3,
    ("redis", "postgres", "s3"): 2,
}
"""Servers that fail together, with their weight."""
SERVER_FAULTS: Final = ("break",)
ALL: Final = (*WORKER_FAULTS, *SERVER_FAULTS, *STORE_FAULTS)
"""Names of all kinds of faults."""


class Faults:
    """Does what is chosen, again and again."""

    def __init__(
        self,
        cluster: Cluster,
        gate: Gate,
        written: Written,
        *,
        only: Sequence[str] = ALL,
        pace: float = 1.0,
    ) -> None:
        """`only` are the kinds of faults; with half the `pace` they come twice as often."""
        self.tally = Tally()
        self._cluster = cluster
        self._gate = gate
        self._written = written
        self._only = only
        self._pace = pace
        self._one_server_fault = asyncio.Lock()  # a purge of what is down is none

    async def of_workers(self, random_: random.Random) -> None:
        """Kill, stop, freeze, damage workers, until cancelled."""
        kinds = self._chosen(WORKER_FAULTS)
        while kinds:
            await self._wait(random_, WORKER_FAULT_INTERVAL)
            number = random_.randrange(len(self._cluster.workers))
            how = _choice(random_, kinds)
            self.tally.kills.append(how)
            log.info("worker %d: %s", number, how)
            await WORKER_FAULTS[how][0](self._cluster, number, random_)

    async def of_servers(self, random_: random.Random) -> None:
        """Take servers down and bring them back, until cancelled."""
        while "break" in self._only:
            await self._wait(random_, SERVER_FAULT_INTERVAL)
            names: Sequence[str] = random_.choices(list(SERVERS), list(SERVERS.values()))[0]
            how = random_.choice(["kill", "pause"])
            seconds = random_.uniform(2, 12 if "kafka" in names else 30)
            # Of several brokers one: the others elect leaders for what it led.
            broker = random_.choice(list(self._cluster.brokers))
            names = [broker if name == "kafka" else name for name in names]
            async with self._one_server_fault:
                await self._break(names, how, seconds)

    async def of_stores(self, random_: random.Random, in_turn: Sequence[str] = ()) -> None:
        """Purge, empty and set back what sinks and broker hold, until cancelled.

        First what is to be done `in_turn`, without pauses.
        """
        for how in in_turn:
            await self.to_stores(how, random_)
        kinds = self._chosen(STORE_FAULTS)
        while kinds:
            await self._wait(random_, SINK_FAULT_INTERVAL)
            await self.to_stores(_choice(random_, kinds), random_)

    async def to_stores(self, how: str, random_: random.Random) -> None:
        """Do one of those."""
        async with self._one_server_fault:
            self.tally.faults.append(how)
            log.info("sinks: %s", how)
            doing = asyncio.ensure_future(
                STORE_FAULTS[how][0](self._cluster, self._gate, self._written, random_)
            )
            try:
                await asyncio.shield(doing)
            except asyncio.CancelledError:
                await doing  # half of it would be another fault
                raise

    async def _break(self, names: Sequence[str], how: str, seconds: float) -> None:
        log.info("%s: %s for %.0f s", "+".join(names), how, seconds)
        servers = [self._cluster.servers[name] for name in names]
        for server in servers:
            self.tally.faults.append(f"{how} {server.name}")
            await asyncio.to_thread(server.kill if how == "kill" else server.pause)
        try:
            await asyncio.sleep(seconds)
        finally:
            for server in servers:
                await asyncio.to_thread(server.revive)

    def _chosen(self, kinds: Mapping[str, tuple[Any, int]]) -> dict[str, int]:
        return {name: weight for name, (_, weight) in kinds.items() if name in self._only}

    async def _wait(self, random_: random.Random, every: tuple[float, float]) -> None:
        await asyncio.sleep(self._pace * random_.uniform(*every))


def _choice(random_: random.Random, kinds: Mapping[str, int]) -> str:
    return random_.choices(list(kinds), list(kinds.values()))[0]
