"""Small requests that tell whether a server serves; they are quick, and raise nothing if not."""

from __future__ import annotations

import asyncio
import http.client
import socket
from concurrent.futures import ThreadPoolExecutor

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from fraudapp.local.processes import HOST


def http_status(port: int, path: str) -> int | None:
    """Return the status of a GET from the web server on this port; None without an answer."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def kafka_answers(port: int) -> bool:
    """Return whether a Kafka broker on this port knows at least one broker of its cluster."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    # In a thread, since the thread of the caller may have a running event loop.
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
