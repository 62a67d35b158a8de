"""Apache Kafka: one node, broker and controller in one (KRaft)."""

from __future__ import annotations

import base64
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from fraudapp.local.probes import kafka_answers
from fraudapp.local.processes import HOST, Child, ProcessError, free_port
from fraudapp.local.server import Server
from tests.servers.jars import STARTS_SOON, java


class Kafka(Server):
    """A Kafka broker; `properties` are of its configuration (None for none), `options` Java's."""

    name = "kafka"
    formatting: Sequence[str] = ("--standalone",)  # arguments of the storage tool

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        *,
        properties: Mapping[str, str | None] | None = None,
        options: Sequence[str] = STARTS_SOON,
    ) -> None:
        super().__init__(folder, port)
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        self._java = java("kafka", "-Xmx512m", quiet, *options)
        self.cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        controller = free_port()
        self._properties: Mapping[str, str | None] = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "listeners": f"PLAINTEXT://{HOST}:{self.port},CONTROLLER://{HOST}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.bootstrap.servers": f"{HOST}:{controller}",
            "log.dirs": str(self.folder / "data"),
            "num.partitions": "4",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",  # 50 by default: slow to make and to load
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            # What would lose records does so at once, so that tests notice.
            "log.cleaner.backoff.ms": "500",
            "log.retention.check.interval.ms": "1000",
            "group.initial.rebalance.delay.ms": "0",
            # After a crash, the controller waits that long before it lets the broker in again.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            **(properties or {}),
        }

    @property
    def url(self) -> str:
        """`kafka://HOST:PORT`."""
        return f"kafka://{HOST}:{self.port}"

    def prepare(self) -> None:
        if (self.folder / "data" / "meta.properties").exists():
            return
        lines = [f"{name}={value}\n" for name, value in self._properties.items() if value]
        self._configuration.write_text("".join(lines))
        argv = [*self._java, "kafka.tools.StorageTool", "format"]
        # Not as two words: an id may begin with a hyphen.
        argv += [
            f"--cluster-id={self.cluster_id}",
            f"--config={self._configuration}",
            *self.formatting,
        ]
        done = subprocess.run(argv, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise ProcessError(f"cannot format Kafka's folder: {done.stdout}{done.stderr}")

    def command(self) -> Child:
        argv = [*self._java, "kafka.Kafka", str(self._configuration)]
        return Child(self.name, argv, log=self.log, cwd=self.folder)

    def answers(self) -> bool:
        return kafka_answers(self.port)

    @property
    def _configuration(self) -> Path:
        return self.folder / "server.properties"
