"""Callers over HTTP who wait for a decision: the decision wakes them, and they never poll."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from models.records import Decision

MAX_ACCEPTED: Final = 10_000
"""Accepted transaction ids that are kept in memory; older ones are looked up in Redis."""


class DecisionWaiters:
    """Passes decisions to the callers who wait for them, and remembers the latest accepted ids.

    The pipeline notifies it of this worker's decisions, the decision listener of all others.
    No method blocks.
    """

    def __init__(self, max_accepted: int = MAX_ACCEPTED) -> None:
        self._accepted: OrderedDict[str, None] = OrderedDict()
        self._max_accepted = max_accepted
        self._waiters: dict[str, set[asyncio.Future[Decision | None]]] = {}
        self.closed = asyncio.Event()
        """Set once the worker stops, and callers are to wait no longer."""

    def notify(self, decisions: Iterable[Decision]) -> None:
        """Wake the waiters of these decisions; of several on one id, the first counts."""
        if not self._waiters:
            return
        for decision in decisions:
            for waiter in self._waiters.get(decision.transaction_id, ()):
                if not waiter.done():
                    waiter.set_result(decision)

    def accept(self, transaction_ids: Iterable[str]) -> None:
        """Remember that this worker has accepted these transactions."""
        for transaction_id in transaction_ids:
            self._accepted[transaction_id] = None
            self._accepted.move_to_end(transaction_id)
            if len(self._accepted) > self._max_accepted:
                self._accepted.popitem(last=False)

    def accepted(self, transaction_id: str) -> bool:
        """Whether this id is among the latest that this worker has accepted."""
        return transaction_id in self._accepted

    @contextmanager
    def subscribe(self, transaction_id: str) -> Iterator[asyncio.Future[Decision | None]]:
        """Yield a future that gets the decision once it is made, or None after `close`.

        Subscribe before looking the decision up: one that is made in between is missed otherwise.
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
        """Wake all waiters, present and future, without a decision: the worker stops."""
        self.closed.set()
        for waiters in self._waiters.values():
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def is_awaited(self, transaction_id: str) -> bool:
        """Whether a caller waits for the decision on this id."""
        return transaction_id in self._waiters

    def awaited(self) -> list[str]:
        """Return the transaction ids that callers wait for."""
        return list(self._waiters)

    def has_waiters(self) -> bool:
        """Whether any caller waits."""
        return bool(self._waiters)

    def count(self) -> int:
        """Return how many callers wait now."""
        return sum(map(len, self._waiters.values()))
