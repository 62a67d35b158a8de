"""A cluster of Kafka: three nodes, each broker and controller in one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from confluent_kafka.admin import AdminClient, NewTopic

from fraudapp.local.processes import HOST, POLL_INTERVAL, free_port
from tests.servers.kafka import Kafka

NODES: Final = (1, 2, 3)


class Node(Kafka):
    """One of them; what is not said otherwise has a replica on each."""

    formatting: Sequence[str] = ()

    def __init__(
        self,
        folder: Path,
        number: int,
        controllers: dict[int, int],
        cluster: str,
        more: Mapping[str, str],
    ) -> None:
        port = free_port()
        voters = ",".join(f"{each}@{HOST}:{controllers[each]}" for each in controllers)
        listeners = f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controllers[number]}"
        properties = {
            "node.id": str(number),
            "listeners": listeners,
            "controller.quorum.voters": voters,
            "controller.quorum.bootstrap.servers": None,
            "default.replication.factor": "3",
            "offsets.topic.replication.factor": "3",
            "transaction.state.log.replication.factor": "3",
            **more,
        }
        super().__init__(folder, port, properties=properties)
        self.cluster_id = cluster


class KafkaCluster:
    """Three brokers; with one of them down there is still a majority of controllers."""

    def __init__(self, folder: Path, properties: Mapping[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        controllers = {number: free_port() for number in NODES}
        cluster = Kafka(folder / "id").cluster_id
        self.nodes = {
            number: Node(folder / f"kafka-{number}", number, controllers, cluster, properties or {})
            for number in NODES
        }

    @property
    def servers(self) -> str:
        """`HOST:PORT,...`, of all."""
        return ",".join(f"{HOST}:{node.port}" for node in self.nodes.values())

    def start(self) -> None:
        """Start all, and return when they answer: none does before there is a majority."""
        for node in self.nodes.values():
            node.launch()
        for node in self.nodes.values():
            node.child.wait_until(node.answers, node.start_timeout)

    def stop(self) -> None:
        """End all, by force: without a majority, the last ones would wait for it in vain."""
        for node in self.nodes.values():
            node.kill()

    async def create(self, topic: str, replicas: Sequence[Sequence[int]], **options: str) -> None:
        """Make a topic whose partitions have replicas on these nodes; returns once it has."""
        configuration = {name.replace("_", "."): value for name, value in options.items()}
        admin = AdminClient({"bootstrap.servers": self.servers})
        assignment = [list(each) for each in replicas]
        new = NewTopic(topic, len(assignment), replica_assignment=assignment, config=configuration)
        for done in admin.create_topics([new]).values():
            await asyncio.to_thread(done.result)
        while len(await self.leaders(topic)) < len(assignment):
            await asyncio.sleep(POLL_INTERVAL)

    async def leaders(self, topic: str) -> dict[int, int]:
        """The leader of each partition that has one."""
        admin = AdminClient({"bootstrap.servers": self.servers})
        told = await asyncio.to_thread(admin.list_topics, topic)
        partitions = told.topics[topic].partitions.values()
        return {each.id: each.leader for each in partitions if each.leader > 0}
