"""Callers that wait for a decision: woken by the decision itself, never by a clock."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from models.records import Decision

REMEMBERED: Final = 10_000
"""Latest accepted ids kept in memory, about 1 MB; older ones are in Redis."""


class DecisionWaiters:
    """Hands decisions to those who wait for them, and remembers what was accepted last."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._accepted: OrderedDict[str, None] = OrderedDict()
        self._remembered = remembered
        self._waiters: dict[str, set[asyncio.Future[Decision | None]]] = {}
        self.closed = asyncio.Event()
        """Set once nobody is to wait any more: the worker stops."""

    def notify(self, decisions: Iterable[Decision]) -> None:
        """Wake everybody who waits for one of these; of several on one id the first counts."""
        if not self._waiters:
            return
        for decision in decisions:
            for waiter in self._waiters.get(decision.transaction_id, ()):
                if not waiter.done():
                    waiter.set_result(decision)

    def accept(self, transaction_ids: Iterable[str]) -> None:
        """Remember that these were accepted by this worker."""
        for transaction_id in transaction_ids:
            self._accepted[transaction_id] = None
            self._accepted.move_to_end(transaction_id)
            if len(self._accepted) > self._remembered:
                self._accepted.popitem(last=False)

    def accepted(self, transaction_id: str) -> bool:
        """Whether it is one of the latest that this worker has accepted."""
        return transaction_id in self._accepted

    @contextmanager
    def subscribe(self, transaction_id: str) -> Iterator[asyncio.Future[Decision | None]]:
        """Yield a future that holds the decision once it is made; None after `close`.

        Enter it before looking anywhere else, or a decision made in between goes unnoticed.
        """
        waiter: asyncio.Future[Decision | None] = asyncio.get_running_loop().create_future()
        if self.closed.is_set():
            waiter.set_result(None)
        self._waiters.setdefault(transaction_id, set()).add(waiter)
        try:
            yield waiter
        finally:
            waiters = self._waiters[transaction_id]
            waiters.discard(waiter)
            if not waiters:
                del self._waiters[transaction_id]

    def close(self) -> None:
        """Let everybody go who waits, now and from now on: there is no decision for them."""
        self.closed.set()
        for waiters in self._waiters.values():
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def expects(self, transaction_id: str) -> bool:
        """Whether somebody waits for this one."""
        return transaction_id in self._waiters

    def awaited(self) -> list[str]:
        """Return the ids that somebody waits for."""
        return list(self._waiters)

    def anybody(self) -> bool:
        """Whether somebody waits at all."""
        return bool(self._waiters)

    def count(self) -> int:
        """How many wait now."""
        return sum(map(len, self._waiters.values()))
