"""Labels of every kind: late, early, repeated, contradicting, of nothing, misrouted, hostile."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter, deque
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from models.labels.parsing import InvalidLabel, parse
from tests.support.messages import encoded
from tests.torture.accounts import payment
from tests.torture.cluster import LABEL_WAIT, LABELS
from tests.torture.load import PARTITIONS, TICK_SECONDS, Load
from tests.torture.senders import Message, Senders
from tests.torture.written import Written

SHARE: Final = 0.12
"""Labels for each message of the load."""
SOURCES: Final = ("confirmed", "chargeback", "analyst", "customer")
MAX_RECENT: Final = 2_000
"""Labels that may be repeated, or contradicted."""
BULK: Final = 400
"""Labels that are sent at once, now and then."""


class Telling:
    """Makes labels, and sends them until the broker has confirmed them."""

    def __init__(
        self, senders: Senders, load: Load, written: Written, random_: random.Random, rate: float
    ) -> None:
        """`rate` is that of the load."""
        self._senders = senders
        self._load = load
        self._written = written
        self._random = random_
        self._rate = rate * SHARE
        self._recent: deque[Message] = deque(maxlen=MAX_RECENT)
        self._late: set[asyncio.Task[None]] = set()
        self.count: Counter[str] = Counter()

    async def tell(self) -> None:
        """Send until cancelled."""
        loop = asyncio.get_running_loop()
        started, due = loop.time(), 0.0
        try:
            while True:
                due += self._rate * TICK_SECONDS
                many = BULK if self._random.random() < TICK_SECONDS / 30 else int(due)
                await self._senders.send([self._message() for _ in range(many)])
                due = max(0.0, due - many)
                started = max(started + TICK_SECONDS, loop.time() - 1)
                await asyncio.sleep(max(0.0, started - loop.time()))
        finally:
            for each in self._late:
                each.cancel()

    def _message(self) -> Message:
        kind = self._random.random()
        if kind < 0.06 and self._recent:
            self.count["repeated"] += 1
            return self._random.choice(self._recent)
        if kind < 0.16 and self._recent:
            self.count["again"] += 1
            told = self._random.choice(self._recent)
            return self._label(self._written.labels[told.id or ""])
        if kind < 0.20:
            self.count["early"] += 1
            return self._early()
        if kind < 0.22:
            self.count["of nothing"] += 1
            return self._label(f"u{self._random.getrandbits(64):016x}")
        if kind < 0.26 or not self._load.recent:
            self.count["hostile"] += 1
            return self._hostile()
        self.count["late"] += 1
        return self._label(self._random.choice(self._load.recent)[0])

    def _label(self, id_: str) -> Message:
        name, value = self._value(id_)
        self._written.labels[name] = id_
        kind = self._random.random()
        message = Message(name, id_.encode(), value, topic=LABELS)
        if kind < 0.04:
            message = message._replace(key=None)  # in any partition
        elif kind < 0.08:
            partition = self._random.randrange(PARTITIONS)
            message = message._replace(key=b"another key", partition=partition)
        elif kind < 0.10:
            message = self._forged(message)
        self._recent.append(message)
        return message

    def _early(self) -> Message:
        """A label on a transaction that is sent later: in time, as a rule."""
        id_ = f"t{self._random.getrandbits(64):016x}"
        seconds = self._random.choice([0.0, self._random.uniform(0, 1.2 * LABEL_WAIT)])
        late = asyncio.create_task(self._send_late(id_, seconds))
        self._late.add(late)
        late.add_done_callback(self._late.discard)
        return self._label(id_)

    async def _send_late(self, id_: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._written.attempted.add(id_)
        await self._senders.send([Message(id_, id_.encode(), encoded(payment(id_)))])

    def _value(self, id_: str) -> tuple[str, bytes]:
        """The name of who tells it, which no other label has, and a label."""
        name = f"n{self._random.getrandbits(64):016x}"
        at = datetime.now(timezone.utc) - timedelta(seconds=self._random.uniform(0, 1e6))
        fields: dict[str, Any] = {
            "transaction_id": id_,
            "label": self._random.choice([0, 1, 1, True, False]),
            "source": self._random.choice(SOURCES),
            "at": at.isoformat(),
            "by": name,
        }
        if self._random.random() < 0.1:
            fields["case"] = {"number": 7}
        return name, json.dumps(fields).encode()

    def _forged(self, message: Message) -> Message:
        """A good one that claims an origin which no worker can have written."""
        partition = self._random.randrange(PARTITIONS)
        other = (partition + 1) % PARTITIONS
        origin = self._random.choice(
            [b"", b"labels/99/1", b"labels/%d/1" % partition, b"transactions/%d/1" % other]
        )
        headers = (("origin", origin),)
        self._written.forged.add((message.key, message.value, headers))
        return message._replace(partition=partition, headers=headers)

    def _hostile(self) -> Message:
        key = self._random.choice([b"k", b"", b"\xff\x00", self._random.randbytes(30)])
        return Message(None, key, self._invalid(), topic=LABELS)

    def _invalid(self) -> bytes | None:
        while True:
            made = self._mutated()
            try:
                parse(made)
            except InvalidLabel:
                return made

    def _mutated(self) -> bytes | None:
        good = self._value(f"bad{self._random.random()}")[1]
        fields: dict[str, Any] = json.loads(good)
        kind = self._random.random()
        if kind < 0.2:
            junk = [None, b"", b"null", b"[" + good + b"]", b"[" * 5_000, b"\xff\xfe" + good]
            return self._random.choice(junk)
        if kind < 0.4:
            return good[: self._random.randrange(len(good))]
        if kind < 0.6:
            del fields[self._random.choice(list(fields))]
        else:
            wrong: list[Any] = [
                None,
                "",
                2,
                -1,
                0.5,
                [],
                {},
                "x" * 129,
                "nul\x00",
                "2026-01-01",
                "CONFIRMED",
            ]
            fields[self._random.choice(list(fields))] = self._random.choice(wrong)
        return json.dumps(fields).encode()
