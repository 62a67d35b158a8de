"""The whole system on this machine: real servers, and workers which a supervisor keeps running."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NoReturn

import psutil

from fraudapp.first_model import ready_scorer
from fraudapp.local.processes import free_port
from fraudapp.local.server import Server
from fraudapp.settings import load
from tests.servers.jars import Missing
from tests.servers.kafka import Kafka
from tests.servers.kafka_cluster import KafkaCluster
from tests.servers.postgres import SystemPostgres
from tests.servers.redis import SystemRedis
from tests.servers.s3proxy import S3Proxy
from tests.support.small_disk import SmallDisk
from tests.support.worker import Worker
from tests.torture.scores import Models
from tests.torture.values import schema

log = logging.getLogger(__name__)

BUCKET: Final = "torture"
LABELS: Final = "labels"
"""The topic of labels."""
LABELLED: Final = "torture-labelled"
# What would lose records does so at once: small segments, a cleaner that never rests, transactions
# that nobody ends aborted at once. Any clock's timestamps are taken.
KAFKA: Final = {
    "log.segment.bytes": "1048576",
    "log.roll.ms": "20000",
    "log.cleaner.min.cleanable.ratio": "0.001",
    "log.cleaner.delete.retention.ms": "1000",
    "log.cleaner.max.compaction.lag.ms": "2000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "log.message.timestamp.after.max.ms": str(2**63 - 1),
}
S3: Final = {"s3proxy.maximum-timeskew": str(10**9)}
POLICIES: Final[tuple[dict[str, str], ...]] = (
    {},
    {"FRAUD_FLAG_AT": "0.00001", "FRAUD_BLOCK_AT": "0.0001"},
    {"FRAUD_FLAG_AT": "0", "FRAUD_BLOCK_AT": "0"},
)
"""Workers differ, so that it shows whose decision was kept."""
LABEL_WAIT: Final = 20.0
"""Seconds that a label waits for its decision, beside the minute that workers add."""
LABEL_DELAY: Final = 4.0
"""Seconds, twice at most, until a label is in profiles."""
PROFILE_LAG: Final = 5.0
"""Seconds that profiles may be behind."""
DISK_MEGABYTES: Final = 4_096
"""Megabytes of a worker's disk."""
SUPERVISION_SECONDS: Final = 0.2
"""Seconds between two looks whether a worker has ended."""


class Cluster:
    """Kafka, Redis, Postgres, S3 and workers, in one folder."""

    def __init__(
        self, folder: Path, workers: int, brokers: int = 1, before: Path | None = None
    ) -> None:
        """`brokers` are one, or `NODES`; the folder `before` has a version before."""
        self.folder = folder
        self.before = before
        self._nodes = None if brokers == 1 else KafkaCluster(folder / "kafka", KAFKA)
        self.remembers = before is None or (before / "models" / "profiles").exists()
        """Whether its workers know of labels and profiles; a version before may not."""
        self.brokers: dict[str, Kafka] = (
            {f"kafka-{number}": node for number, node in self._nodes.nodes.items()}
            if self._nodes
            else {"kafka": Kafka(folder / "kafka", properties=KAFKA)}
        )
        """By name; "kafka" if there is but one."""
        self.redis = SystemRedis(folder / "redis", appendonly=True)
        self.postgres = SystemPostgres(folder / "postgres")
        self.s3 = S3Proxy(folder / "s3", properties=S3)
        self.servers: Mapping[str, Server] = {
            **self.brokers,
            "redis": self.redis,
            "postgres": self.postgres,
            "s3": self.s3,
        }
        self.models: Models | None = None
        """None with a version before, which may know of one model only."""
        self.environment: dict[str, str] = {}
        self.workers: list[Worker] = []
        self.disks: dict[int, SmallDisk] = {}
        """Those of workers that can be filled, by number: all, where we may mount any."""
        self.restarts = 0
        """Times that a worker was started again: after a kill, or when it could not go on."""
        self.expected_down: Counter[int] = Counter()
        """How many faults hold a worker down, by its number."""
        self.hands = asyncio.Lock()
        """Held by whoever touches files of workers."""
        self._count = workers

    @property
    def broker(self) -> str:
        """`HOST:PORT` of the broker; of all of them, with commas between."""
        return ",".join(f"127.0.0.1:{each.port}" for each in self.brokers.values())

    def start(self) -> None:
        """Start everything, and return when every worker is ready."""
        self.folder.chmod(0o711)  # PostgreSQL may run as another user
        if self._nodes:
            self._nodes.start()  # none answers before there is a majority
        for name, server in self.servers.items():
            if not (self._nodes and name in self.brokers):
                server.start()
        self.s3.make_bucket(BUCKET)
        inherited = {name: value for name, value in os.environ.items() if name[:6] != "FRAUD_"}
        self.environment = {
            **inherited,
            **self.s3.settings,
            "FRAUD_APP_ID": "torture",
            "FRAUD_TRANSACTIONS_TOPIC": "transactions",
            "FRAUD_DECISIONS_TOPIC": "decisions",
            "FRAUD_DEAD_LETTERS_TOPIC": "dead-letters",
            "FRAUD_BROKER_URL": ";".join(each.url for each in self.brokers.values()),
            "FRAUD_TOPIC_REPLICAS": str(len(self.brokers)),
            "FRAUD_POSTGRES_URL": self.postgres.url,
            "FRAUD_REDIS_URL": self.redis.url,
            "FRAUD_ARCHIVE_URL": f"s3://{BUCKET}",
            "FRAUD_BROKER_SESSION_TIMEOUT": "6",
            "FRAUD_BROKER_HEARTBEAT_INTERVAL": "1",
            # Nothing of these days expires, whatever the clock of a worker says.
            "FRAUD_POSTGRES_DAYS": "30",
            "FRAUD_ARCHIVE_DAYS": "30",
        }
        if self.remembers:
            (self.folder / "paysim.toml").write_text(schema())
            self.environment |= {
                "FRAUD_SCHEMA": str(self.folder / "paysim.toml"),
                "FRAUD_LABELS_TOPIC": LABELS,
                "FRAUD_LABEL_WAIT": str(LABEL_WAIT),
                "FRAUD_PROFILE_LABEL_DELAY": str(LABEL_DELAY),
                "FRAUD_PROFILE_LAG": str(PROFILE_LAG),
            }
        model = self.folder / "trained"
        if self.before and not model.exists():
            # Each version has its own, as after an upgrade. Python looks into the folder first.
            argv = [sys.executable, "-m", "fraudapp", "init", "--no-servers"]
            env = {**self.environment, "FRAUD_DATA_DIR": str(model)}
            subprocess.run(argv, check=True, cwd=self.before, env=env)
        ready_scorer(load({"FRAUD_DATA_DIR": str(model)}), log.info)
        if self.before is None:
            self.models = Models(model / "models", self.folder / "other" / "models")
        for number in range(self._count):
            data = self.folder / f"worker-{number}"
            with suppress(Missing):
                self.disks[number] = SmallDisk(data, DISK_MEGABYTES)
            shutil.copytree(model / "models", data / "models")
            changes = {"FRAUD_DATA_DIR": str(data), "FRAUD_WEB_PORT": str(free_port())}
            changes |= POLICIES[number % len(POLICIES)]
            self.workers.append(Worker({**self.environment, **changes}, self.folder))
            self.workers[-1].start()

    async def supervise(self) -> None:
        """Start a worker again whenever it has ended, until cancelled."""
        while True:
            for number, worker in enumerate(self.workers):
                if not worker.child.running and not self.expected_down[number]:
                    self.restarts += 1
                    worker.launch()
            await asyncio.sleep(SUPERVISION_SECONDS)

    def heal(self) -> None:
        """Bring everything back to life."""
        for disk in self.disks.values():
            disk.make_room()
        for server in self.servers.values():
            server.revive()
        for worker in self.workers:
            if worker.child.running:
                with suppress(psutil.NoSuchProcess):  # it has ended this very moment
                    worker.child.resume()

    def stop(self) -> None:
        """Stop everything."""
        for worker in self.workers:
            worker.child.kill()
        for disk in self.disks.values():
            disk.remove()
        for server in reversed(list(self.servers.values())):
            server.stop()


def on_cluster(
    workers: int,
    work: Callable[[Cluster], Coroutine[Any, Any, bool]],
    keep: Path | None = None,
    brokers: int = 1,
    before: str | None = None,
) -> NoReturn:
    """Start a cluster, do the work on it, stop it, and end this process: with 0 if it went well.

    Then its folder, with logs and data, is removed, unless it is one to `keep`. `before` is the
    commit of a version before.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    folder = keep or Path(tempfile.mkdtemp(prefix="fraudapp-torture-"))
    folder.mkdir(parents=True, exist_ok=True)
    log.info("logs and data are in %s", folder)
    cluster = Cluster(
        folder, workers, brokers, checked_out(before, folder / "before") if before else None
    )
    try:
        cluster.start()
        well = asyncio.run(work(cluster))
    finally:
        cluster.stop()
    if well and not keep:
        shutil.rmtree(folder)
    sys.exit(0 if well else 1)


def checked_out(commit: str, folder: Path) -> Path:
    """Folder with the files of a commit of this repository."""
    folder.mkdir(exist_ok=True)
    archive = subprocess.run(["git", "archive", commit], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x"], input=archive, cwd=folder, check=True)
    return folder
