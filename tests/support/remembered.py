"""A shop that remembers accounts: its schema and policy, payments, and a recount of its topics."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Final

import pytest
from msgspec import msgpack
from rocksdict import AccessType, Options, Rdict

from models.profiles.memory import ProfileMemory
from models.profiles.values import parse
from models.schema.schema import Schema
from tests.support.labels import STRENGTH, told
from tests.support.labels import recounted as recounted_labels
from tests.support.readback import in_topic
from tests.support.recounting import Past, recounted
from tests.support.worker import Worker, run

SCHEMA: Final = """
name = "shop"

[fields.transaction_id]
type = "text"
role = "id"

[fields.at]
type = "time"
format = "iso8601"
role = "time"

[fields.customer_id]
type = "text"
role = "sender"

[fields.terminal_id]
type = "text"
role = "receiver"
optional = true

[fields.amount]
type = "amount"
role = "amount"

[fields.is_fraud]
type = "flag"
form = "0/1"
role = "label"
default = 0

[profile]
sent = "count(sender, 1h)"
spent = "sum(sender, 24h)"
usual = "mean(sender, 30d)"
places = "distinct(sender, terminal_id, 24h)"
waited = "seconds_since_last(sender)"
taken = "count(receiver, 24h)"
risk = "fraud_rate(receiver, 30d)"
frauds = "frauds(receiver, 30d)"

[features]
log_amount = { log = "amount" }
hour = { hour_of_day = "at" }
"""
POLICY: Final = """
flag_at = 0.98
block_at = 0.99

[[rules]]
id = "often"
when = "sent >= 3"
then = "flag"
reason = "The card was used {sent:.0f} times within the hour, for {spent:,.2f} in a day."
owner = "tests"

[[rules]]
id = "bad_terminal"
when = "risk > 0.2 and frauds >= 2"
then = "block"
reason = "Of its payments, {risk:.0%} were fraud."
owner = "tests"

[[rules]]
id = "new_card"
when = "missing(usual)"
then = "flag"
mode = "test"
reason = "The card is new."
owner = "tests"
"""

_ROLES: Final = {"customer_id": "sender", "terminal_id": "receiver"}


def payment(
    transaction_id: str, customer: str, terminal: str | None, amount: float
) -> dict[str, Any]:
    """A transaction of this schema."""
    made = {"transaction_id": transaction_id, "at": "2026-05-01T12:00:00Z", "customer_id": customer}
    return made | {"terminal_id": terminal, "amount": amount}


def bursts(draw: random.Random, prefix: str, count: int) -> Iterator[list[dict[str, Any]]]:
    """Random payments of 50 customers at 20 terminals, in bursts of different sizes."""
    number = 0
    while number < count:
        size = min(draw.choice([1, 1, 2, 7, 40, 150, 400]), count - number)
        yield [
            payment(
                f"{prefix}{number + at}",
                f"C{draw.randrange(50)}",
                f"T{draw.randrange(20)}" if draw.random() < 0.95 else None,
                draw.randrange(1, 50_000) / 100,
            )
            for at in range(size)
        ]
        number += size


def labels(draw: random.Random, ids: Sequence[str], count: int) -> list[tuple[bytes, bytes]]:
    """Labels on some of these ids: of several sources, some repeated, some contradicting others."""
    messages = []
    for _ in range(count):
        id_ = draw.choice(ids)
        said = told(id_, draw.randint(0, 1), draw.choice(STRENGTH))
        messages += [(id_.encode(), said)] * draw.choice([1, 1, 2])
    return messages


def expected(schema: Schema, past: Sequence[Past], now: Past) -> dict[str, float]:
    """The values that a payment has to be decided with, after these."""
    assert schema.remembering
    kept = {_ROLES[each.field]: each.layout.levels.kept for each in schema.remembering.sides}
    found = {}
    for name, text in schema.definition.profile.items():
        value = parse(text)
        value = value._replace(of="receiver" if value.of else None)
        found[name] = recounted(value, kept[value.key], past, now)
    return {name: each for name, each in found.items() if each is not None}


class OnDisk:
    """The profiles that a worker has left on its disk."""

    def __init__(self, worker: Worker, schema: Schema) -> None:
        assert schema.remembering
        self._schema = schema
        self._remembering = schema.remembering
        folder = str(worker.data_dir / "profiles")
        database = Rdict(folder, Options(raw_mode=True), access_type=AccessType.read_only())
        content: dict[Any, Any] = dict(database.items())
        database.close()
        state = msgpack.decode(content[b"\x00state"], strict=False)
        self.next_offsets: dict[int, int] = {int(key): at for key, at in state[1].items()}
        """Of each partition of the log, up to where it is in the profiles."""
        self._profiles = {key: each for key, each in content.items() if 0 < key[0] < 0xFF}

    def check(self, past: Sequence[Past], second: int) -> None:
        """Fail unless all values, read at a second, are a recount of the past."""
        senders = {each.sender for each in past} - {None}
        receivers = {each.receiver for each in past} - {None}
        assert len(self._profiles) == len(senders) + len(receivers)
        for now in (
            *(Past(second, each, None, 0) for each in senders),
            *(Past(second, None, each, 0) for each in receivers),
        ):
            found, wanted = self._read(now), expected(self._schema, past, now)
            assert found == pytest.approx(wanted, rel=1e-12), f"{now}: {found}, not {wanted}"

    def _read(self, now: Past) -> dict[str, float]:
        memory = ProfileMemory(self._remembering, lambda keys: [*map(self._profiles.get, keys)])
        row = SimpleNamespace(customer_id=now.sender, terminal_id=now.receiver, amount=0)
        events = self._remembering.events([row], now.second)
        return self._remembering.known(memory.read(events).tolist()[0])


async def logged(environment: Mapping[str, str]) -> list[Past]:
    """The first decision under each id, with the labels on it."""
    decisions = await in_topic(environment, "decisions")
    known = recounted_labels(decisions, await in_topic(environment, "labels"), partitions=4)
    first: dict[bytes, Past] = {}
    for record in sorted(decisions, key=lambda each: each.offset):
        made = json.loads(record.value)
        at = datetime.fromisoformat(made["decided_at"].replace("Z", "+00:00"))
        fields, label = made["transaction"], known.get(made["transaction_id"], {})
        past = Past(
            int(at.timestamp()),
            fields["customer_id"],
            fields.get("terminal_id"),
            round(fields["amount"] * 100),
            label.get("label", 0),
        )
        first.setdefault(record.key, past)
    return [*first.values()]


def verified(worker: Worker, *arguments: str) -> dict[str, Any]:
    """What `features verify` tells, whatever its exit code."""
    command = ["-m", "fraudapp", "features", "verify", "--format", "json", *arguments]
    done = run(command, worker.environment)
    assert done.returncode in (0, 3), done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode == 3) == (found["unexplained"] > 0)
    return found
