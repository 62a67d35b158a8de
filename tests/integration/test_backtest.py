"""Backtests over real stores: the log, Postgres and the archive tell the same of the same past."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

import msgspec
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from data.generator import generate
from data.plan import Plan
from fraudapp.commands.backtest import command
from fraudapp.decisions.batch import Batch
from fraudapp.kafka import topics
from fraudapp.kafka.producer import BatchProducer, NewRecord
from fraudapp.local.processes import free_port
from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import load
from fraudapp.sinks.all import Sinks
from models.control.records import (
    Capped,
    ControlRecord,
    Listed,
    ListKey,
    PolicyKey,
    Proposed,
    Removed,
    cap,
    entry,
    proposal,
    removal,
)
from models.policies.backtest import Backtest
from models.records import Decision, Outcome
from models.training.train import train
from tests.support.backtested import World
from tests.support.decided import written
from tests.support.transactions import transaction

ROUNDS, ROWS = 60, 50
QUICK = Plan(rows=8_000, fraud_rate=0.05, seed=3)
RULES = """
[[rules]]
id = "mule"
when = "nameDest in @mules and amount > 2_000"
then = "block"
reason = "A mule."
owner = "o"
[[rules]]
id = "large"
when = "amount > 9_000 and log_amount > 1"
then = "flag"
reason = "Large."
owner = "o"
expires_at = {end}
[lists.vips]
field = "nameOrig"
then = "approve"
reason = "Known."
owner = "o"
up_to = 9000
expires_at = {end}
"""


class Past(NamedTuple):
    """What was decided, and the environment of who looks at it."""

    environment: Mapping[str, str]
    decisions: Sequence[Decision]
    policy: Path
    """The second policy, with other thresholds."""
    repeated: int


@pytest.fixture
def past(worker_environment: dict[str, str], tmp_path: Path) -> Past:
    environment = worker_environment | {"FRAUD_ARCHIVE_URL": (tmp_path / "archive").as_uri()}
    begin = datetime.now(timezone.utc) - timedelta(minutes=ROUNDS)
    world, made = World(stride=1), list[Decision]()
    draw = random.Random(7)
    rules = RULES.format(end=(begin + timedelta(minutes=40)).isoformat())
    for number in range(ROUNDS):
        now = begin + timedelta(minutes=number)
        if number in (10, 30):
            world.propose(f"flag_at = {0.4 if number == 10 else 0.3}\nblock_at = 0.8\n{rules}")
        if number % 3 == 0:
            end = now + timedelta(minutes=draw.randrange(1, 9)) if number % 2 else None
            world.enter(draw.choice(["mules", "vips"]), f"C{draw.randrange(9)}", until=end)
        if number % 5 == 0:
            world.remove("mules", f"C{draw.randrange(9)}")
        if number in (15, 20, 45):
            world.cap("mule" if number == 45 else "", on=number != 20)
        rows = [
            transaction(
                f"t{number}-{at}",
                amount=float(draw.randrange(12_000)),
                nameOrig=f"C{draw.randrange(9)}",
                nameDest=f"C{draw.randrange(9)}",
                isFraud=int(draw.random() < 0.1),
            )
            for at in range(ROWS)
        ]
        made += world.decide(rows, now)
    again = [replace(each, decision=Outcome.BLOCK) for each in made[:20]]
    asyncio.run(_kept(environment, world.records, made, again))
    policy = tmp_path / "p.toml"
    policy.write_text(f"flag_at = 0.2\nblock_at = 0.6\n{rules}")
    return Past(environment, made, policy, len(again))


async def _kept(
    environment: Mapping[str, str],
    control: Sequence[ControlRecord],
    made: Sequence[Decision],
    again: Sequence[Decision],
) -> None:
    settings = load(environment)
    await topics.ensure(settings)
    producer = BatchProducer(settings)
    await producer.start()
    try:
        await producer.append(settings.control_topic, 0, map(_record, control), "filling")
    finally:
        await producer.stop()
    for decisions in (made, again):
        await written(settings, decisions)
    in_bucket = load({**environment, "FRAUD_ARCHIVE_URL": _bucket(environment)})
    for sinks in (Sinks(settings), Sinks(in_bucket)):
        for sink in (sinks.postgres, sinks.archive):
            await sink.open()
            await sink.save(Batch(made))
            await sink.close()


def _bucket(environment: Mapping[str, str]) -> str:
    return "s3://" + environment["FRAUD_POSTGRES_URL"].rpartition("/")[2]


def _record(each: ControlRecord) -> NewRecord:
    match each.key, each.value:
        case PolicyKey(id=id_), Proposed() as proposed:
            return proposal(id_, proposed)
        case ListKey(name=name, value=text), Listed() as listed:
            return entry(name, text, listed)
        case ListKey(name=name, value=text), Removed() as removed:
            return removal(name, text, removed)
        case key, Capped() as capped:
            return cap(key, capped)  # type: ignore[arg-type]
    raise AssertionError(each)


def run(past: Past, *arguments: str, **environment: str) -> Result:
    env = {**past.environment, **environment}
    return CliRunner().invoke(command, arguments, env=env)


def found(past: Past, *arguments: str, **environment: str) -> Backtest:
    done = run(past, *arguments, "--format", "json", **environment)
    assert done.exit_code == 0, done.output
    return msgspec.json.decode(done.stdout, type=Backtest)


def recounted(past: Past, flag_at: float, block_at: float) -> int:
    """How many decisions other thresholds change, where no rule or list has a say."""

    def then(score: float) -> Outcome:
        if score >= block_at:
            return Outcome.BLOCK
        return Outcome.FLAG if score >= flag_at else Outcome.APPROVE

    return sum(then(each.score) is not each.decision for each in past.decisions)


def test_a_past_is_told_alike_by_all_stores_and_decided_alike_by_its_policies(
    past: Past, tmp_path: Path
) -> None:
    of_log = found(past, str(past.policy))
    assert (of_log.rows, of_log.repeated) == (ROUNDS * ROWS, past.repeated)
    assert of_log.made_by == {"2": 30 * ROWS, "1": 20 * ROWS, "flag-0.5-block-0.8": 10 * ROWS}
    assert of_log.changed > 0
    assert of_log.pairs
    assert set(of_log.quality) == {"before", "after"}
    of_log.repeated = 0
    bucket = _bucket(past.environment)
    assert found(past, str(past.policy), "--from-postgres") == of_log
    assert found(past, str(past.policy), "--from-archive") == of_log
    assert found(past, str(past.policy), "--from-archive", FRAUD_ARCHIVE_URL=bucket) == of_log

    for number, policy in (("1", "1"), ("2", "2"), ("2", "in-force")):
        for source in ([], ["--from-postgres"], ["--from-archive"]):
            same = found(past, policy, "--made-by", number, *source)
            assert (same.changed, [*same.made_by]) == (0, [number]), source
    assert found(past, "1").changed > 0

    bare = tmp_path / "bare.toml"
    bare.write_text("flag_at = 0.25\nblock_at = 0.75")
    assert found(past, str(bare)).changed == recounted(past, 0.25, 0.75)

    middle = past.decisions[25 * ROWS].decided_at
    for source in ([], ["--from-postgres"], ["--from-archive"]):
        later = found(past, "in-force", "--since", middle.isoformat(), *source)
        assert (later.rows, later.first) == (35 * ROWS, middle)
        earlier = found(past, "in-force", "--until", middle.isoformat(), *source)
        assert earlier.rows == 25 * ROWS
        assert found(past, "in-force", "--limit", "70", *source).rows == 70

    text = run(past, "1", "--fail-if", "changed > 0", "--fail-if", "rows < 10")
    assert text.exit_code == 3
    assert "fails: changed > 0" in text.output
    assert "1,500 by policy 2" in text.output
    assert "Caps are not simulated" in text.output
    assert run(past, "2", "--made-by", "2", "--fail-if", "changed > 0").exit_code == 0


def test_what_cannot_be_compared_is_told_with_an_exit_code(past: Past) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    for arguments, environment, code, sentence in (
        (["7"], {}, 2, "there is no policy 7"),
        (["absent.toml"], {}, 2, "absent.toml"),
        (["1", "--since", "soon"], {}, 2, "is no time: write 7d"),
        (["1", "--since", "2026-01-02", "--until", "2026-01-01"], {}, 2, "is not before"),
        (["1", "rows.csv", "--since", "1d"], {}, 2, "go without FILE"),
        (["1", "--since", "2100-01-01"], {}, 1, "no decisions are in"),
        (["1", "--until", "2001-01-01"], {}, 1, "up to 2001-01-01"),
        (["1", "--made-by", "9"], {}, 1, "no decisions by 9"),
        (["1"], {"FRAUD_BROKER_URL": f"kafka://{nowhere}"}, 1, "FRAUD_BROKER_URL"),
        (
            ["1", "--from-postgres"],
            {"FRAUD_POSTGRES_URL": f"postgresql+asyncpg://u:p@{nowhere}/d"},
            1,
            "FRAUD_POSTGRES_URL",
        ),
        (
            ["1", "--from-archive"],
            {"FRAUD_ARCHIVE_URL": "file:///absent-folder"},
            1,
            "FRAUD_ARCHIVE_URL",
        ),
    ):
        done = run(past, *arguments, **environment)
        assert done.exit_code == code, (arguments, done.output)
        assert sentence in done.output, (arguments, done.output)
    wrong = past.policy
    wrong.write_text(wrong.read_text().replace("amount > 2_000", "amuont > 2_000"))
    done = run(past, str(wrong))
    assert done.exit_code == 2
    assert "line 6, column" in done.output


def test_a_policy_of_the_chain_is_tried_on_a_file_with_its_lists_as_they_are_now(
    past: Past, tmp_path: Path
) -> None:
    settings = load(past.environment)
    registry = ModelRegistry.of(settings)
    registry.activate(registry.add(train(pd.DataFrame(generate(QUICK)), "logistic")))
    rows = tmp_path / "rows.jsonl"
    encode = settings.transaction_schema.encode
    rows.write_bytes(b"".join(encode(each.transaction) + b"\n" for each in past.decisions[:500]))
    here = tmp_path / "mules.txt"
    here.write_text("".join(f"C{number}\n" for number in range(9)))
    hits = {
        name: {rule.id: rule.hits for rule in found(past, "in-force", str(rows), *lists).rules}
        for name, lists in (("log", []), ("file", ["--list", f"mules={here}"]))
    }
    large = sum(each.transaction.amount > 2_000 for each in past.decisions[:500])
    assert 0 < hits["log"]["mule"] < hits["file"]["mule"] == large


def test_a_damaged_file_of_the_archive_is_named(past: Past) -> None:
    folder = Path(past.environment["FRAUD_ARCHIVE_URL"].removeprefix("file://"))
    file = next(folder.rglob("*.jsonl.gz"))
    file.write_bytes(file.read_bytes()[:-9])
    done = run(past, "1", "--from-archive")
    assert done.exit_code == 1
    assert file.name in done.output
