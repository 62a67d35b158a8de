"""A model is trained on the decisions of the log and the labels that came, and serves nobody."""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from fraudapp.commands.train import command
from fraudapp.decisions.batch import Batch
from fraudapp.kafka import topics
from fraudapp.kafka.producer import BatchProducer, NewRecord
from fraudapp.local.processes import free_port
from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import Settings, load
from models.key_hash import key_partitions
from models.labels.records import Said, Source, encode, labelled
from models.records import Decision, Outcome
from models.schema.schema import Schema
from tests.support.decisions import decision
from tests.support.remembered import SCHEMA, payment

ROWS = 1_500
RISK = '\nrisk_ = { number = "risk" }\nsent_ = { log = "sent" }\n'


def made(schema: Schema, begin: datetime) -> list[Decision]:
    """Decisions of 30 days: where the risk is high, half are fraud; some are blocked."""
    draw, found = random.Random(7), []
    for number in range(ROWS):
        id_, risky = f"t{number}", number % 10 == 0
        sent = payment(id_, f"c{draw.randrange(50)}", "m1", draw.randrange(1, 9_000) / 100)
        changes: dict[str, Any] = {
            "transaction": schema.parser.parse(json.dumps(sent).encode()),
            "decided_at": begin + timedelta(minutes=number * 28),
            "decision": Outcome.BLOCK if number % 40 == 10 else Outcome.APPROVE,
            "schema_version": schema.version,
            "profile_version": schema.profile_version,
            "profile": {"risk": 0.5 if risky else 0.0, "sent": float(draw.randrange(4))},
        }
        if number % 40 == 30:
            changes |= {"decision": Outcome.FLAG, "explored": 0.25}
        if number % 100 == 1:
            changes["profile_version"] = "shop-earlier"
        found.append(decision(id_, offset=number, **changes))
    return found


def told(decisions: Sequence[Decision], begin: datetime) -> list[tuple[str, bytes]]:
    """Labels by id: of half of the risky that went through; each is corrected once."""
    found = []
    for offset, each in enumerate(decisions):
        number = int(each.transaction_id[1:])
        if number % 20 or each.decision is Outcome.BLOCK:
            continue
        early = Said(label=0, at=begin, by="ann", offset=offset)
        late = Said(label=1, at=begin, by="bank", offset=ROWS + offset)
        analyst = {Source.ANALYST: early}
        both = {**analyst, Source.CHARGEBACK: late}
        for labels in (analyst, both, analyst):  # repeats of older ones change nothing
            found.append((each.transaction_id, encode(labelled(each, labels))))
    return found


async def written(settings: Settings, decisions: Sequence[Decision], begin: datetime) -> None:
    await topics.ensure(settings)
    batch = Batch(decisions)
    keyed = [*zip(batch.keys, batch.encoded, strict=True)]
    labels = [(id_.encode(), value) for id_, value in told(decisions, begin)]
    producer = BatchProducer(settings)
    await producer.start()
    try:
        for topic, records in (
            (settings.decisions_topic, keyed),
            (settings.labelled_topic, labels),
        ):
            ids = [key.decode() for key, _ in records if key]
            by_partition: defaultdict[int, list[NewRecord]] = defaultdict(list)
            places = key_partitions(ids, settings.topic_partitions)
            for place, (key, value) in zip(places, records, strict=True):
                by_partition[place].append((key, value, []))
            for place, each in by_partition.items():
                await producer.append(topic, place, each, "filling")
    finally:
        await producer.stop()


def run(environment: Mapping[str, str], *arguments: str, code: int = 0) -> Result:
    done = CliRunner().invoke(command, ["--from-log", *arguments], env=dict(environment))
    assert done.exit_code == code, done.output
    return done


@pytest.fixture
def environment(worker_environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    schema = tmp_path / "shop.toml"
    schema.write_text(SCHEMA + RISK)
    return {**worker_environment, "FRAUD_SCHEMA": str(schema)}


def test_a_model_of_the_log_says_what_it_was_made_of_and_waits(
    environment: dict[str, str],
) -> None:
    settings = load(environment)
    schema = settings.transaction_schema
    begin = datetime.now(timezone.utc) - timedelta(days=30)
    decisions = made(schema, begin)
    again = [replace(each, decision=Outcome.BLOCK) for each in decisions[:5]]
    asyncio.run(written(settings, [*decisions, *again], begin))

    latest = datetime.now(timezone.utc) - timedelta(days=7)
    mature = [each for each in decisions if each.decided_at <= latest]
    kept = [each for each in mature if each.profile_version == schema.profile_version]
    seen = [each for each in kept if each.decision is not Outcome.BLOCK]
    frauds = [each for each in seen if int(each.transaction_id[1:]) % 20 == 0]
    explored = [each for each in seen if each.explored]
    assert frauds
    assert explored

    done = run(environment)
    assert f"{len(seen):,} decisions to train on, {len(frauds):,} of them fraud" in done.output
    assert f"{len(frauds):,}: label by chargeback, {len(frauds):,} of them fraud" in done.output
    assert f"left out: {len(kept) - len(seen):,} blocked without a label" in done.output
    assert "with other values of profiles" in done.output
    assert "too young" in done.output
    assert "left out: 5 with an id that was decided before" in done.output
    assert "and serves nobody yet" in done.output

    registry = ModelRegistry.of(settings)
    (version,) = registry.versions()
    assert registry.active() is None
    card = registry.card(version)
    assert card.training["rows"] == len(seen)
    assert card.training["frauds"] == len(frauds)
    assert card.training["explored"] == len(explored)
    weights = len(seen) + 3 * len(explored)
    assert card.training["fraud_rate"] == pytest.approx(len(frauds) / weights)
    assert card.metrics["average_precision"] > 2 * card.metrics["fraud_rate"]

    since = (begin + timedelta(days=10)).isoformat()
    less = run(environment, "--since", since, "--mature-days", "0", "--kind", "logistic")
    young = [each for each in decisions if each.decided_at.isoformat() >= since]
    usable = [
        each
        for each in young
        if each.profile_version == schema.profile_version and each.decision is not Outcome.BLOCK
    ]
    assert f"{len(usable):,} decisions to train on" in less.output
    assert "too young" not in less.output

    nothing = run(environment, "--until", "2001-01-01", code=1)
    assert "no decision of" in nothing.output


def test_a_broker_that_is_away_is_named(environment: dict[str, str]) -> None:
    away = {**environment, "FRAUD_BROKER_URL": f"kafka://127.0.0.1:{free_port()}"}
    assert "FRAUD_BROKER_URL" in run(away, code=1).output
