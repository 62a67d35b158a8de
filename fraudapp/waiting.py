"""Callers that wait for a decision: woken by the decision itself, never by a clock."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, Generic, TypeVar

from models.records import Decision

T = TypeVar("T")

REMEMBERED: Final = 10_000
"""Latest decisions kept in memory, about 10 MB; older ones are in the stores."""


class Waiting:
    """Hands decisions to those who wait for them, and remembers the latest."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._latest: _Recent[Decision] = _Recent(remembered)
        self._accepted: _Recent[None] = _Recent(remembered)
        self._waiters: dict[str, set[asyncio.Future[Decision | None]]] = {}
        self.closed = asyncio.Event()
        """Set once nobody is to wait any more: the worker stops."""

    def announce(self, decisions: Iterable[Decision]) -> None:
        """Wake everybody who waits for one of these, and remember them."""
        for decision in decisions:
            self._latest.add(decision.transaction_id, decision)
            self.wake([decision])

    def wake(self, decisions: Iterable[Decision]) -> None:
        """Wake everybody who waits for one of these, which this worker's ledger remembers."""
        if not self._waiters:
            return
        for decision in decisions:
            for waiter in self._waiters.get(decision.transaction_id, ()):
                if not waiter.done():
                    waiter.set_result(decision)

    def latest(self, transaction_id: str) -> Decision | None:
        """Return the decision if it is one of the latest announced here."""
        return self._latest.get(transaction_id)

    def accept(self, transaction_ids: Iterable[str]) -> None:
        """Remember that these were accepted by this worker."""
        for transaction_id in transaction_ids:
            self._accepted.add(transaction_id, None)

    def accepted(self, transaction_id: str) -> bool:
        """Whether it is one of the latest that this worker has accepted."""
        return transaction_id in self._accepted

    @contextmanager
    def expecting(self, transaction_id: str) -> Iterator[asyncio.Future[Decision | None]]:
        """Yield a future that holds the decision once it is announced; None after `close`.

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


class _Recent(OrderedDict[str, T], Generic[T]):
    """The newest entries, up to a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        super().__init__()

    def add(self, key: str, value: T) -> None:
        self[key] = value
        self.move_to_end(key)
        if len(self) > self._limit:
            self.popitem(last=False)
