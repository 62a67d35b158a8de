"""Commands that write to topics of their own, and what is in them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from click.testing import CliRunner, Result

from fraudapp.commands import dead_letters, explain, labels, lists, models, policy
from tests.support.readback import in_topic

GROUPS = {
    "policy": policy.command,
    "lists": lists.command,
    "models": models.command,
    "labels": labels.command,
    "dead-letters": dead_letters.command,
    "explain": explain.command,
}


class Commands:
    """Runs groups of commands in an environment, within this process."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.environment = environment
        self._folder = folder

    def __call__(self, group: str, *arguments: str, **variables: str) -> Result:
        """The result of a command; `variables` are in its environment as well."""
        environment = {**self.environment, **variables}
        return CliRunner().invoke(GROUPS[group], arguments, env=environment)

    def done(self, group: str, *arguments: str, **variables: str) -> str:
        """What a command prints that has to succeed."""
        result = self(group, *arguments, **variables)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, group: str, *arguments: str) -> list[dict[str, Any]]:
        """The objects that a command prints, one a line."""
        return [*map(json.loads, self.done(group, *arguments, "--json").splitlines())]

    def file(self, text: str, name: str = "policy.toml") -> str:
        """The path of a new file."""
        path = self._folder / name
        path.write_text(text)
        return str(path)

    def records(self, topic: str = "control") -> int:
        """How many records a topic has, the control topic by default."""
        return len(asyncio.run(in_topic(self.environment, topic)))

    def heartbeats(self, versions: Mapping[int, str], worker: str = "w:1", at: float = 0.0) -> None:
        """Write heartbeats of partitions, as the owner does."""
        asyncio.run(_write_heartbeats(self.environment, versions, worker, at))


async def _write_heartbeats(
    environment: Mapping[str, str], versions: Mapping[int, str], worker: str, at: float
) -> None:
    topic = f"{environment['FRAUD_APP_ID']}-partition-reports-changelog"
    server = environment["FRAUD_BROKER_URL"].removeprefix("kafka://")
    admin = AIOKafkaAdminClient(bootstrap_servers=server)
    await admin.start()
    if topic not in await admin.list_topics():
        count, compacted = int(environment["FRAUD_TOPIC_PARTITIONS"]), {"cleanup.policy": "compact"}
        await admin.create_topics([NewTopic(topic, count, 1, topic_configs=compacted)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=server) as producer:
        for partition, version in versions.items():
            value = {"worker": worker, "at": at, "policy_version": version, "cursor": 7}
            await producer.send_and_wait(
                topic, json.dumps(value).encode(), str(partition).encode(), partition
            )
