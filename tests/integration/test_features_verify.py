"""Profiles are verified from topics that workers have left, whatever else is in these."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from click.testing import CliRunner, Result
from msgspec.structs import replace

from fraudapp.commands.features import UNEXPLAINED, command
from fraudapp.kafka import topics
from fraudapp.settings import load
from models.key_hash import partition_of
from models.labels.records import Said, Source, encode, labelled
from models.records import Decision, Outcome
from models.schema.schema import Schema
from models.schema.schema import load as load_schema
from tests.support.decisions import id_in_partition
from tests.support.recounting import Past
from tests.support.remembered import SCHEMA, expected, payment

PARTITIONS = 4
DELAY = 5.0


class Shop:
    """What workers of a schema that remembers have decided, in topics of its own."""

    def __init__(self, environment: Mapping[str, str], schema: Schema) -> None:
        self.environment = environment
        self.schema = schema
        self.made: list[Decision] = []
        self.past: list[Past] = []
        self.labelled: list[tuple[bytes, bytes]] = []
        self.now = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(minutes=3)

    def decide(
        self,
        *given: tuple[str, str | None, int],
        later: float = 1.0,
        ids: Sequence[str] = (),
    ) -> None:
        """Decide a batch, as one worker: by partition, with what the log says at that moment."""
        self.now += timedelta(seconds=later)
        ids = ids or [f"t{len(self.made) + at}" for at in range(len(given))]
        batch = sorted(zip(ids, given, strict=True), key=lambda each: _place(each[0]))
        for id_, (customer, terminal, cents) in batch:
            now = Past(int(self.now.timestamp()), customer, terminal, cents)
            fields = payment(id_, customer, terminal, cents / 100)
            self.made.append(
                Decision(
                    transaction_id=id_,
                    decision=Outcome.APPROVE,
                    score=0.25,
                    reasons=[],
                    model_version="m",
                    policy_version="p",
                    decided_at=self.now,
                    topic="transactions",
                    partition=_place(id_),
                    offset=len(self.made),
                    transaction=msgspec.convert(fields, self.schema.transaction),
                    schema_version=self.schema.version,
                    profile=expected(self.schema, self.past, now),
                    profile_version=self.schema.profile_version,
                )
            )
            self.past.append(now)

    def label(self, place: int, version: int, label: Any, source: Source = Source.ANALYST) -> None:
        """Label a decision; decisions do not know it, since it is written only now."""
        said = {source: Said(label=label, at=self.now, by="ann", offset=version)}
        decision = self.made[place]
        record = encode(labelled(decision, said))
        self.labelled.append((decision.transaction_id.encode(), record))

    def change(self, place: int, **fields: Any) -> None:
        """Let a decision say something else."""
        self.made[place] = replace(self.made[place], **fields)

    def write(self, *more: Decision) -> None:
        """Bring all of it into the topics."""
        asyncio.run(self._write([*self.made, *more]))

    async def _write(self, decisions: Sequence[Decision]) -> None:
        settings = load(self.environment)
        await topics.ensure(settings)
        encoder = msgspec.json.Encoder()
        records = [
            (settings.decisions_topic, each.transaction_id.encode(), encoder.encode(each))
            for each in decisions
        ]
        records += [(settings.labelled_topic, *each) for each in self.labelled]
        async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers) as producer:
            for topic, key, value in records:
                await producer.send(topic, value, key=key, partition=_place(key.decode()))

    def run(self, *arguments: str, **variables: str) -> Result:
        environment = {**self.environment, **variables}
        return CliRunner().invoke(command, arguments, env=environment)

    def verified(self, *arguments: str) -> dict[str, Any]:
        result = self.run("verify", "--format", "json", *arguments)
        assert result.exit_code in (0, UNEXPLAINED), result.output
        found: dict[str, Any] = json.loads(result.stdout)
        assert (result.exit_code == UNEXPLAINED) == (found["unexplained"] > 0)
        return found


def _place(transaction_id: str) -> int:
    return partition_of(transaction_id.encode(), PARTITIONS)


@pytest.fixture
def shop(worker_environment: dict[str, str], tmp_path: Path) -> Shop:
    file = tmp_path / "shop.toml"
    file.write_text(SCHEMA)
    more = {"FRAUD_SCHEMA": str(file), "FRAUD_PROFILE_LABEL_DELAY": str(DELAY)}
    return Shop({**worker_environment, **more}, load_schema(file))


def filled(shop: Shop) -> None:
    for number in range(12):
        batch = [
            (f"C{each % 5}", f"T{each % 3}" if each % 4 else None, each + 1) for each in range(9)
        ]
        shop.decide(*batch, later=0.5 if number % 2 else 7.0)


def test_decisions_that_were_made_with_what_the_log_says_are_equal(shop: Shop) -> None:
    filled(shop)
    again = [replace(each, profile={"sent": 99.0}) for each in shop.made[:7]]
    shop.write(*again)
    found = shop.verified()
    assert (found["compared"], found["equal"], found["repeated"]) == (108, 108, 7)
    assert (found["values"], found["examples"]) == ({}, [])
    text = shop.run("verify")
    assert text.exit_code == 0
    assert "108 decisions compared" in text.output

    since = shop.verified("--since", shop.made[50].decided_at.isoformat())
    assert since["earlier"] == 45
    assert since["compared"] == 63
    until = shop.verified("--until", shop.made[50].decided_at.isoformat())
    assert (until["compared"], until["differing"]) == (45, 0)


def test_a_decision_made_with_another_value_is_told_with_both(shop: Shop) -> None:
    filled(shop)
    right = shop.made[40].profile
    # More than all that its account pays within seconds.
    shop.change(40, profile={**right, "spent": right["spent"] + 2.5})
    # It has not seen what was decided last on its account, a second ago in another partition.
    one, other = (id_in_partition(each, 0, PARTITIONS) for each in (0, 1))
    shop.decide(("C77", None, 100), later=60.0, ids=[one])
    shop.decide(("C77", None, 100), ids=[other])
    shop.change(-1, profile=shop.made[-2].profile)
    shop.write()
    found = shop.verified("--show", "5")
    assert (found["compared"], found["equal"]) == (110, 108)
    assert (found["explained"], found["unexplained"]) == (1, 1)
    first, second = found["examples"]
    assert first["transaction_id"] == shop.made[40].transaction_id
    assert first["values"]["spent"]["stored"] == first["values"]["spent"]["computed"] + 2.5
    assert second["transaction_id"] == other
    assert second["values"]["sent"] == {"stored": 0.0, "computed": 1.0}
    assert found["values"]["spent"] == {"differing": 2, "largest": 2.5, "unknown": 0}
    text = shop.run("verify", "--show", "0")
    assert text.exit_code == UNEXPLAINED
    assert "stored" not in text.output


def test_labels_count_from_their_second_on_and_the_newest_version_does(shop: Shop) -> None:
    shop.decide(("C1", "T1", 100), ("C2", "T1", 200), ("C3", "T2", 300))
    places = {each.transaction.terminal_id: at for at, each in enumerate(shop.made)}
    shop.label(places["T1"], 7, 1)
    shop.label(places["T1"], 3, 0, Source.CUSTOMER)  # an older one, read again
    shop.label(places["T2"], 5, 1)
    shop.label(places["T2"], 8, 0)
    # Labels are written below; decisions an hour from now see them.
    shop.past[places["T1"]] = shop.past[places["T1"]]._replace(fraud=1)
    shop.decide(("C4", "T1", 10), ("C5", "T2", 20), later=3_600.0)
    shop.write()
    found = shop.verified()
    assert (found["compared"], found["differing"]) == (5, 0), found
    assert found["labels"] == 3  # that of T1, and one of T2 and back
    late = shop.run("verify", FRAUD_PROFILE_LABEL_DELAY="3600")
    assert late.exit_code == UNEXPLAINED
    assert "frauds: stored 1, computed 0" in late.output


def test_what_cannot_be_verified_is_said(shop: Shop) -> None:
    without = shop.run("verify", FRAUD_SCHEMA="paysim")
    assert without.exit_code == 1
    assert "schema paysim has no [profile]" in without.output
    missing = shop.run("verify")
    assert missing.exit_code == 1
    assert f"there is no topic {shop.environment['FRAUD_DECISIONS_TOPIC']}" in missing.output
    shop.write()
    nothing = shop.run("verify", "--since", "2020-01-01")
    assert nothing.exit_code == 1
    assert "from 2020-01-01T00:00:00+00:00: nothing was compared" in nothing.output
    unreachable = shop.run("verify", FRAUD_BROKER_URL="kafka://127.0.0.1:9")
    assert unreachable.exit_code == 1
    assert "FRAUD_BROKER_URL=kafka://127.0.0.1:9 fails" in unreachable.output


def test_the_values_of_a_schema_are_listed_with_what_they_are_made_of(shop: Shop) -> None:
    lines = [each.split() for each in shop.run("list").output.splitlines()]
    assert ["sent", "profile", "count(sender,", "1h)"] in lines
    assert ["log_amount", "feature", "log(amount)"] in lines
    assert "remembered" in shop.run("list", FRAUD_SCHEMA="paysim").output
