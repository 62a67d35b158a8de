"""Callers over HTTP, who remember their answers, and ask another worker at once."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any, Final

import aiohttp

from tests.torture.cluster import Cluster
from tests.torture.gate import Gate
from tests.torture.load import TICK_SECONDS, Load
from tests.torture.written import Written

UNANSWERED: Final = (aiohttp.ClientError, asyncio.TimeoutError, OSError)
ToldLabel = tuple[str, str, int, str]
"""Id of a transaction, source and value of the label that counts, and who told it."""
MAX_POST_TRANSACTIONS: Final = 20
"""Transactions in a POST."""


class Callers:
    """Asks and posts, and compares the answers."""

    def __init__(
        self,
        cluster: Cluster,
        gate: Gate,
        load: Load,
        written: Written,
        random_: random.Random,
    ) -> None:
        self._cluster = cluster
        self._load = load
        self._gate = gate
        self._written = written
        self._random = random_
        self.told: dict[str, dict[str, Any]] = {}
        """The first decision that any caller was given, by id."""
        self.labels: set[ToldLabel] = set()
        """The labels on decisions that callers were given."""
        self.wrong: list[str] = []
        """Answers that no caller should have got."""
        self.answers = 0
        self.elsewhere = 0
        """Questions to another worker, right after a decision."""

    async def ask(self) -> None:
        """Ask one worker or another for decisions until cancelled."""
        async with self._session() as session:
            while True:
                await asyncio.sleep(TICK_SECONDS)
                if self._load.recent:
                    id_, _ = self._random.choice(self._load.recent)
                    url = self._random.choice(self._cluster.workers).url
                    with contextlib.suppress(*UNANSWERED):
                        await self._status(session, url, id_, wait=5)

    async def post(self) -> None:
        """Post transactions until cancelled, wait for the decisions, and ask another worker."""
        async with self._session() as session:
            while True:
                await asyncio.sleep(TICK_SECONDS)
                one, *others = self._random.sample(
                    self._cluster.workers, len(self._cluster.workers)
                )
                with contextlib.suppress(*UNANSWERED):
                    async with self._gate.passed():
                        decided = await self._post(session, one.url)
                    for id_ in decided:
                        for other in others or [one]:
                            await self._known(session, other.url, id_)

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=10), headers={"Content-Type": "application/json"}
        )

    async def _post(self, session: aiohttp.ClientSession, url: str) -> list[str]:
        """Post some, and return the ids of those that were decided meanwhile."""
        # Nobody else sends them before they are answered: there is no conflict.
        new = dict(
            self._load.new(again=False)
            for _ in range(self._random.choice([1, 1, MAX_POST_TRANSACTIONS]))
        )
        body = b"[" + b",".join(new.values()) + b"]" if len(new) > 1 else next(iter(new.values()))
        wait = self._random.choice([0, 5, 5])
        async with session.post(f"{url}/transactions?wait_seconds={wait}", data=body) as answer:
            if answer.status in (200, 202):
                self._written.confirmed.update(new)
                self._load.recent.extend((id_, 0) for id_ in new)
                found = await answer.json()
                answers = found if isinstance(found, list) else [found]
                decided = [each for each in answers if "decided_at" in each]
                for each in decided:
                    self._compare(each["transaction_id"], each)
                return [each["transaction_id"] for each in decided]
            if answer.status < 500:
                self.wrong.append(f"POST of {sorted(new)} was answered with {answer.status}")
        return []

    async def _known(self, session: aiohttp.ClientSession, url: str, id_: str) -> None:
        self.elsewhere += 1
        status = await self._status(session, url, id_, wait=self._random.choice([0, 0, 2]))
        if status == 404 and not self._purged(id_):
            self.wrong.append(f"{url} does not know {id_}, which had been decided")

    def _purged(self, id_: str) -> bool:
        """Whether it is of a purged day: by a worker whose clock is a day behind."""
        before = self._written.ever_purged
        return before is not None and self.told[id_]["decided_at"] < before.isoformat()

    async def _status(
        self, session: aiohttp.ClientSession, url: str, id_: str, *, wait: float
    ) -> int:
        async with session.get(f"{url}/transaction/{id_}/status?wait_seconds={wait}") as answer:
            if answer.status == 200:
                self._compare(id_, await answer.json())
            return answer.status

    def _compare(self, id_: str, decision: dict[str, Any]) -> None:
        self.answers += 1
        if label := decision.pop("label", None):
            self.labels.add((id_, label["source"], label["label"], label["by"]))
        if self.told.setdefault(id_, decision) != decision and id_ not in self._written.cut:
            self.wrong.append(f"callers got two different decisions on {id_}")
