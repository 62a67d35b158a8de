"""Traffic of every kind, at a rate: good, repeated, conflicting, misrouted, hostile, forged."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from typing import Final

from tests.support.messages import encoded, transaction
from tests.torture.accounts import payment
from tests.torture.hostile import mutated
from tests.torture.senders import Message, Senders
from tests.torture.written import Written

TICK_SECONDS: Final = 0.1
"""Seconds between two sends."""
MAX_RECENT: Final = 20_000
"""Transactions that may be repeated, or asked for."""
PARTITIONS: Final = 4


class Load:
    """Makes messages, and sends them until the broker has confirmed them."""

    def __init__(
        self, senders: Senders, written: Written, random_: random.Random, rate: float
    ) -> None:
        self._senders = senders
        self._written = written
        self._random = random_
        self._rate = rate
        self.recent: deque[tuple[str, int]] = deque(maxlen=MAX_RECENT)
        """Id and seed of transactions that were sent not long ago."""
        self.sent = 0

    async def send(self) -> None:
        """Send until cancelled."""
        loop = asyncio.get_running_loop()
        started, due = loop.time(), 0.0
        while True:
            due += self._rate * TICK_SECONDS
            await self._senders.send([self._message() for _ in range(int(due))])
            self.sent += int(due)
            due -= int(due)
            started += TICK_SECONDS
            await asyncio.sleep(max(0.0, started - loop.time()))

    def new(self, *, again: bool = True) -> tuple[str, bytes]:
        """A transaction that was never sent: its id, and its message; it may be sent `again`."""
        id_ = f"t{self._random.getrandbits(64):016x}"
        if again:
            self.recent.append((id_, 0))
        self._written.attempted.add(id_)
        return id_, encoded(payment(id_))

    def _message(self) -> Message:
        kind = self._random.random()
        if kind < 0.05 and self.recent:
            id_, seed = self._random.choice(self.recent)  # the same again
        elif kind < 0.08 and self.recent:
            id_, seed = self._random.choice(self.recent)
            seed += 1  # another payload under a used id
        elif kind < 0.11:
            return self._hostile()
        else:
            id_, seed = self.new()[0], 0
        value = encoded(payment(id_, seed))
        if kind > 0.99:
            return self._forged(id_, value)
        if kind > 0.96:
            return Message(id_, None, value)  # in any partition
        if kind > 0.94:
            return Message(id_, b"another key", value, self._random.randrange(PARTITIONS))
        return Message(id_, id_.encode(), value)

    def _hostile(self) -> Message:
        good = encoded(transaction(f"bad{self.sent}-{self._random.random()}"))
        value = mutated(good, self._random)
        key = self._random.choice([None, b"k", b"", b"\xff\x00", self._random.randbytes(30)])
        if value is None and key is None:
            key = b"k"  # which its client does not send
        if self._random.random() < 0.2:
            # Like a rerouted input, but no worker reroutes an invalid one.
            partition = self._random.randrange(PARTITIONS)
            claimed = (partition + 1) % PARTITIONS
            origin = b"transactions/%d/%d" % (claimed, self._random.randrange(1_000))
            return self._claiming(Message(None, key, value, partition), ("origin", origin))
        return Message(None, key, value)

    def _forged(self, id_: str, value: bytes) -> Message:
        """A good one that claims an origin which no worker can have written."""
        partition = self._random.randrange(PARTITIONS)
        origins = [
            [b""],
            [b"\xff"],
            [b"transactions/99/1"],
            [b"transactions/-1/1"],
            [b"transactions/%d/1" % partition],
            [b"transactions/%d/01" % ((partition + 1) % PARTITIONS)],
            [b"other/%d/1" % ((partition + 1) % PARTITIONS)],
            [b"transactions/%d/1" % ((partition + 1) % PARTITIONS)] * 2,
            [b"transactions/1/" + b"9" * 30],
        ]
        headers = [("origin", each) for each in self._random.choice(origins)]
        key = self._random.choice([id_.encode(), None])
        return self._claiming(Message(id_, key, value, partition), *headers)

    def _claiming(self, message: Message, *headers: tuple[str, bytes]) -> Message:
        self._written.forged.add((message.key, message.value, headers))
        return message._replace(headers=headers)
