"""Decisions and labels of a schema that remembers accounts, and profiles that take them in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.labels.records import LabelledRecord
from fraudapp.profiles.folding import Folded
from fraudapp.profiles.store import ProfileStore
from models.labels.records import Said, Source, Value, encode, labelled
from models.profiles.remembering import Remembering
from models.records import Decision, Outcome
from models.schema.schema import Schema, load
from tests.support.remembered import SCHEMA, payment

NOW: Final = datetime(2026, 5, 20, 12, tzinfo=timezone.utc)
DELAY: Final = 10.0
MADE_OF: Final = [
    LogIdentity("app", "decisions", -1, "one id"),
    LogIdentity("app", "app-labelled", -1, "another id"),
]


@cache
def shop() -> Schema:
    """The schema."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "shop.toml"
        path.write_text(SCHEMA)
        return load(path)


def remembering() -> Remembering:
    """What the schema remembers."""
    found = shop().remembering
    assert found is not None
    return found


def paid(
    transaction_id: str,
    customer: str = "C1",
    terminal: str | None = "T1",
    amount: float = 10.0,
    *,
    at: datetime = NOW,
    partition: int = 0,
    offset: int = 0,
) -> Decision:
    """A decision on a payment; partition and offset are those of its input."""
    fields = payment(transaction_id, customer, terminal, amount)
    return Decision(
        transaction_id=transaction_id,
        decision=Outcome.APPROVE,
        score=0.25,
        reasons=[],
        model_version="m1",
        policy_version="p1",
        decided_at=at,
        topic="transactions",
        partition=partition,
        offset=offset,
        transaction=shop().parser.from_mapping(fields),
        schema_version=shop().version,
        profile_version=shop().profile_version,
    )


def told(
    decision: Decision, label: Value, version: int, *, offset: int, at: datetime = NOW
) -> LabelledRecord:
    """A labelled decision in partition 0 of its topic, written at a moment."""
    said = Said(label=label, at=at, by="ann", offset=version)
    made = labelled(decision, {Source.ANALYST: said})
    return LabelledRecord(0, offset, int(at.timestamp() * 1_000), made, encode(made))


def opened(folder: Path) -> ProfileStore:
    """The store in a folder."""
    return ProfileStore(folder, shop().profile_version, MADE_OF)


def folded(folder: Path) -> Folded:
    """Profiles over the store in a folder."""
    return Folded(remembering(), opened(folder), label_delay=DELAY)


def values(
    profiles: Folded, customers: Sequence[str], terminals: Sequence[str], at: datetime = NOW
) -> dict[str, dict[str, float]]:
    """What is known of accounts at a moment, all at once; nothing is in flight afterwards."""
    count = max(len(customers), len(terminals))
    asked = [
        paid(f"?{place}", customers[place % len(customers)], terminals[place % len(terminals)])
        for place in range(count)
    ]
    found = {}
    for each in asked:
        known, events = profiles.read([each.transaction], int(at.timestamp()))
        profiles.release(events)
        pair = each.transaction
        found[f"{pair.customer_id} {pair.terminal_id}"] = dict(known.known[0])
    return found


def later(seconds: float) -> datetime:
    """A moment after `NOW`."""
    return NOW + timedelta(seconds=seconds)
