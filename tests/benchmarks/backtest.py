"""How long a backtest over the decision log takes: `python -m tests.benchmarks.backtest [COUNT]`.

Decisions on PaySim's transactions are made by the code that workers decide with, under 100 rules
and a list of 100,000 entries, and appended to a topic of Apache Kafka, and saved to an archive in a
folder. Then `fraudapp backtest in-force` runs as a process of its own, with one thread, and has
to find no change. The memory is the most that the process had, of which 150 MB are the program.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import msgspec

import data
from fraudapp.control.reader import ControlReader
from fraudapp.control.writer import ControlWriter
from fraudapp.decisions.batch import Batch
from fraudapp.kafka import topics
from fraudapp.kafka.producer import BatchProducer, NewRecord
from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import Settings, load
from fraudapp.sinks.archive.archive import archive_at
from models.control.records import Listed
from models.control.state import ControlState
from models.control.versions import Version
from models.deciding import decide
from models.inputs import Input, Position, ValidInput
from models.key_hash import key_partitions
from models.policies.in_force import InForce
from models.policies.reading import read
from models.policies.ruling import Ruling
from models.records import Decision
from models.schema.schema import PAYSIM
from models.scorer import Scorer
from models.training.train import train
from tests.benchmarks.backlog import paysim
from tests.servers.kafka import Kafka

COUNT: Final = 1_000_000
PARTITIONS: Final = 4
RULES: Final = 100
ENTRIES: Final = 100_000
BATCH_ROWS: Final = 500
SAVED_ROWS: Final = 6_000
_BEGIN: Final = datetime(2026, 3, 1, tzinfo=timezone.utc)
_NO_CHANGE: Final = ("--format", "json", "--fail-if", "changed > 0")
# What the kernel says to a parent also counts the memory of the parent itself, before the exec.
_PROGRAM: Final = """
import atexit, pathlib, re, runpy, sys, time
def tell():
    status = pathlib.Path("/proc/self/status").read_text()
    print(time.process_time(), re.search(r"VmHWM:\\s*(\\d+)", status)[1], file=sys.stderr)
atexit.register(tell)
runpy.run_module("fraudapp", run_name="__main__")
"""
_KINDS: Final = ("PAYMENT", "TRANSFER", "CASH_OUT", "DEBIT", "CASH_IN")


class Took(NamedTuple):
    """What a command took."""

    seconds: float
    """By the clock."""
    cpu_seconds: float
    megabytes: float
    """The most that was resident."""
    said: Mapping[str, Any]


def policy_text() -> str:
    """Return a policy of 100 rules, each with several comparisons, of which a few hit."""
    rules = [
        f"""
[[rules]]
id = "rule_{number}"
when = "amount > {100_000 + 7_000 * number} and type == '{_KINDS[number % 5]}' \
and oldbalanceOrg < {1_000 * number + 500}"
then = "{("flag", "block")[number % 2]}"
mode = "{("active", "test")[number % 3 == 0]}"
reason = "{{amount:,.2f}} leave."
owner = "benchmark"
"""
        for number in range(RULES - 1)
    ]
    return f"""
flag_at = 0.4
block_at = 0.9
{"".join(rules)}
[[rules]]
id = "known_mule"
when = "nameDest in @mules and amount > 1_000"
then = "block"
reason = "The receiver is known."
owner = "benchmark"

[lists.mules]
field = "nameOrig"
then = "block"
reason = "The sender is known."
owner = "benchmark"
"""


def entries() -> list[str]:
    """Return entries of a list, of which a few are receivers of the transactions."""
    receivers = {PAYSIM.parser.parse(raw).nameDest for _, raw in paysim(500)}
    return [*receivers, *(f"X{number}" for number in range(ENTRIES - len(receivers)))]


def decided(count: int, scorer: Scorer, policy: InForce) -> Iterator[tuple[int, list[Decision]]]:
    """Yield decisions in batches of one partition, with its number."""
    made = paysim(count)
    number = 0
    while raws := [*islice(made, PARTITIONS * BATCH_ROWS)]:
        now = _BEGIN + timedelta(milliseconds=10 * number)
        ids = [key.decode() for key, _ in raws]
        by_partition: dict[int, list[bytes]] = {each: [] for each in range(PARTITIONS)}
        for partition, (_, raw) in zip(key_partitions(ids, PARTITIONS), raws, strict=True):
            by_partition[partition].append(raw)
        for partition, values in by_partition.items():
            candidates = []
            for raw in values:
                where = Position("transactions", partition, number)
                number += 1
                candidates.append(
                    ValidInput(PAYSIM.parser.parse(raw), Input(None, raw, where, where))
                )
            yield partition, decide(candidates, scorer=scorer, policy=policy, now=now)


async def fill(settings: Settings, count: int) -> None:
    """Put a policy in force, and append and archive so many decisions by it."""
    await topics.ensure(settings)
    scorer = ModelRegistry.of(settings).load_active()
    async with _writing(settings) as (producer, control, state):
        added = datetime.now(timezone.utc)
        await control.add("mules", entries(), Listed(author="benchmark"))
        member = await control.propose(policy_text(), author="benchmark", parent="")
        click.echo(f"{ENTRIES:,} entries in {datetime.now(timezone.utc) - added}, {member.fate}")
        ruling = Ruling(read(policy_text().encode(), PAYSIM), PAYSIM)
        version = Version(1, state.lists.next_offset(ruling.lists))
        policy = InForce(ruling, str(version), state.lists.at)
        archive, waiting = archive_at(settings), list[Decision]()
        await archive.open()
        for partition, made in decided(count, scorer, policy):
            batch = Batch(made)
            records: list[NewRecord]
            records = [
                (key, value, []) for key, value in zip(batch.keys, batch.encoded, strict=True)
            ]
            await producer.append(settings.decisions_topic, partition, records, "filling")
            waiting += made
            if len(waiting) >= SAVED_ROWS:
                await archive.save(Batch(waiting))
                waiting = []
        if waiting:
            await archive.save(Batch(waiting))


@asynccontextmanager
async def _writing(
    settings: Settings,
) -> AsyncIterator[tuple[BatchProducer, ControlWriter, ControlState]]:
    producer, reader, state = BatchProducer(settings), ControlReader(settings), ControlState()
    await producer.start()
    await reader.start()
    try:

        async def read_to(offset: int) -> None:
            await reader.read_to(offset, state.apply)

        yield producer, ControlWriter(settings, producer, state, read_to, reader.end), state
    finally:
        await reader.stop()
        await producer.stop()


def took(environment: Mapping[str, str], *arguments: str) -> Took:
    """Run `fraudapp backtest in-force` with one thread, and measure it; raises if it fails."""
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, "backtest", "in-force", *arguments, *_NO_CHANGE],
        env={**environment, **one_thread},
        check=True,
        capture_output=True,
    )
    seconds = time.perf_counter() - begin
    cpu_seconds, kilobytes = map(float, done.stderr.split()[-2:])
    return Took(seconds, cpu_seconds, kilobytes / 1e3, msgspec.json.decode(done.stdout))


@click.command()
@click.argument("count", type=int, default=COUNT)
@click.option("--rounds", type=int, default=3, show_default=True)
def main(count: int, rounds: int) -> None:
    """Measure backtests over so many decisions, in the log and in the archive."""
    folder = Path(tempfile.mkdtemp(prefix="fraudapp-backtest-"))
    broker = Kafka(folder / "kafka")
    try:
        broker.start()
        environment = {
            **{name: value for name, value in os.environ.items() if name[:6] != "FRAUD_"},
            "FRAUD_BROKER_URL": broker.url,
            "FRAUD_DATA_DIR": str(folder / "data"),
            "FRAUD_TOPIC_PARTITIONS": str(PARTITIONS),
        }
        settings = load(environment)
        registry = ModelRegistry.of(settings)
        registry.activate(registry.add(train(data.sample_path())))
        begin = time.perf_counter()
        asyncio.run(fill(settings, count))
        click.echo(f"{count:,} decisions made in {time.perf_counter() - begin:.0f} s")
        for name, arguments in (("log", []), ("archive", ["--from-archive"])):
            for _ in range(rounds):
                each = took(environment, *arguments)
                click.echo(
                    f"{name:8} {each.seconds:6.1f} s, {each.cpu_seconds:6.1f} s of a core, at most "
                    f"{each.megabytes:.0f} MB: {each.said['rows']:,} decisions, "
                    f"{each.said['changed']} changed"
                )
    finally:
        broker.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
