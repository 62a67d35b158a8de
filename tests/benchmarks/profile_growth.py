"""How profiles grow, and how long a worker with an empty disk takes until it has them.

    python -m tests.benchmarks.profile_growth growth --events 10000000
    python -m tests.benchmarks.profile_growth ready --events 200000

`growth` folds events over 60 days of many accounts, and looks at disk and memory on the way and at
the end. `ready` fills a decision log on Apache Kafka, and starts workers with an empty disk,
without and with a snapshot. It tells as well how long the decision indexes take, which every worker
reads.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from time import monotonic, process_time
from typing import Any, Final

from fraudapp.decisions.batch import Batch
from fraudapp.kafka import topics as kafka_topics
from fraudapp.kafka.producer import BatchProducer, NewRecord
from fraudapp.profiles import sweep
from fraudapp.settings import Settings, load
from fraudapp.sinks.archive.folder import FolderArchive
from models.key_hash import key_partitions
from models.records import Decision, Outcome
from tests.conftest import topics_of
from tests.integration.test_profile_store import PARTITIONS, Site
from tests.servers.choice import make
from tests.support.remembered import SCHEMA
from tests.unit.fraudapp.profiles.shop import folded, shop, told

CHUNK: Final = 1_000
DAYS: Final = 60
BEGIN: Final = datetime(2026, 1, 1, tzinfo=timezone.utc)
FRAUD_SHARE: Final = 0.005
SLICES: Final = 4
"""Slices of the sweep for each chunk."""


def made(number: int, accounts: int, at: datetime, chance: random.Random) -> Decision:
    """A decision on a payment of any account to any of a tenth as many terminals."""
    transaction: Any = shop().transaction(
        transaction_id=f"t{number}",
        at="2026-05-01T12:00:00Z",
        customer_id=f"C{chance.randrange(accounts):09d}",
        terminal_id=f"T{chance.randrange(accounts // 10):08d}",
        amount=chance.randrange(100, 100_000) / 100,
    )
    return Decision(
        transaction_id=transaction.transaction_id,
        decision=Outcome.APPROVE,
        score=0.25,
        reasons=[],
        model_version="m1",
        policy_version="p1",
        decided_at=at,
        topic="transactions",
        partition=0,
        offset=number,
        transaction=transaction,
        schema_version=shop().version,
        profile_version=shop().profile_version,
    )


def chunks(events: int, accounts: int) -> Iterator[tuple[datetime, list[Decision]]]:
    """Yield decisions over `DAYS` days, in their order."""
    chance = random.Random(7)
    for begin in range(0, events, CHUNK):
        at = BEGIN + timedelta(days=DAYS * begin / events)
        size = min(CHUNK, events - begin)
        yield at, [made(begin + place, accounts, at, chance) for place in range(size)]


def growth(events: int, accounts: int, folder: Path) -> None:
    """Fold events, and print disk, memory and time at every tenth of them."""
    profiles, spent, cpu, done, labels = folded(folder / "p"), 0.0, 0.0, 0, 0
    for at, decisions in chunks(events, accounts):
        frauds = [each for each in decisions if each.offset % int(1 / FRAUD_SHARE) == 0]
        records = [told(each, 1, labels + n, offset=labels + n) for n, each in enumerate(frauds)]
        labels += len(records)
        began, used = monotonic(), process_time()
        done += len(decisions)
        profiles.apply(0, decisions, done)
        profiles.add_labels(records, {0: labels})
        profiles.apply_due(at.timestamp())
        while profiles.is_large:
            try:
                profiles.write()
            except Exception as exc:  # the disk is slower than this loop
                say(f"waits: {exc}") if "stall" not in str(exc) else None
        for place in range(SLICES):
            profiles.sweep(at.timestamp(), (at - BEGIN).total_seconds() + place * sweep.PAUSE)
        spent, cpu = spent + monotonic() - began, cpu + process_time() - used
        if done % max(CHUNK, events // 10 // CHUNK * CHUNK) == 0 or done == events:
            store = profiles.store
            say(
                f"{done:>12,} events, day {(at - BEGIN).days:2}: {store.disk_bytes / 1e6:8.1f} MB "
                f"on disk, about {store.kept:,} kept, {resident():6.1f} MB of memory, "
                f"{spent / done * 1e6:5.1f} us/event, {cpu / done * 1e6:5.1f} of the processor"
            )
    profiles.close()


async def ready(events: int, accounts: int, folder: Path) -> None:
    """Fill a log, and print how long workers with an empty disk take until they know it."""
    kafka = make("kafka", folder / "kafka")
    kafka.start()
    try:
        (folder / "shop.toml").write_text(SCHEMA)
        environment = {
            **topics_of(f"b-{uuid.uuid4().hex[:8]}"),
            "FRAUD_BROKER_URL": kafka.url,
            "FRAUD_SCHEMA": str(folder / "shop.toml"),
            "FRAUD_TOPIC_PARTITIONS": str(PARTITIONS),
        }
        settings = load({**environment, "FRAUD_DATA_DIR": str(folder / "fill")})
        await kafka_topics.ensure(settings)
        await fill(settings, events, accounts)
        archive = FolderArchive(folder / "archive")
        for name in ("log only", "log only, snapshot written", "snapshot"):
            own = load({**environment, "FRAUD_DATA_DIR": str(folder / name)})
            site = Site(own, None if name == "log only" else archive)
            began = monotonic()
            await site.start()
            while not site.profiles.is_ready:
                await asyncio.sleep(0.02)
            say(f"profiles, {name}: ready after {monotonic() - began:.1f} s")
            if name == "log only":
                began = monotonic()
                await asyncio.gather(*(site.log.ready(each, 1) for each in range(PARTITIONS)))
                say(f"decision indexes: ready after {monotonic() - began:.1f} s")
            elif name != "snapshot" and (writer := site.profiles.snapshot_writer):
                site.profiles.on_assigned([0])
                began = monotonic()
                written = await writer.look(datetime.now(timezone.utc))
                say(f"snapshot {written}, after {monotonic() - began:.1f} s")
            await site.stop()
    finally:
        kafka.stop()


async def fill(settings: Settings, events: int, accounts: int) -> None:
    """Write a decision log."""
    producer = BatchProducer(settings)
    await producer.start()
    for _, decisions in chunks(events, accounts):
        ids = [each.transaction_id for each in decisions]
        where = [*zip(decisions, key_partitions(ids, PARTITIONS), strict=True)]
        for partition in range(PARTITIONS):
            batch = Batch([each for each, there in where if there == partition])
            pairs = zip(batch.keys, batch.encoded, strict=True)
            new: list[NewRecord] = [(key, value, []) for key, value in pairs]
            await producer.append(
                settings.decisions_topic, partition, iter(new), "filling", divide=True
            )
    await producer.stop()


def resident() -> float:
    """Megabytes of memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4_096 / 1e6


def say(text: str) -> None:
    """Tell it at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["growth", "ready"])
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="profile-growth-"))
    try:
        if arguments.what == "growth":
            growth(arguments.events, arguments.accounts, folder)
        else:
            asyncio.run(ready(arguments.events, arguments.accounts, folder))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
