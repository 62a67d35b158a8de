"""More idle connections than a worker may open files cost no decision."""

from __future__ import annotations

import asyncio
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from tests.support.messages import send_transactions, transaction
from tests.support.readback import eventually
from tests.support.worker import START_TIMEOUT, Worker

MAX_OPEN_FILES = 1_024
CONNECTIONS = 1_100
POST = b"POST /transactions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
UNREAD, WAITING = "an unread stream", "a long wait"
KINDS = {
    "no byte": b"",
    "half a head": b"GET /stats HTTP/1.1\r\nHost: localhost\r\nX-Half: ",
    "half a body": POST + b'Content-Length: 500\r\n\r\n{"transaction_id":',
    "idle after a request": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    UNREAD: b"GET /stats/stream HTTP/1.1\r\nHost: localhost\r\n\r\n",
    WAITING: b"GET /transaction/a/status?wait_seconds=30 HTTP/1.1\r\nHost: localhost\r\n\r\n",
}
ENDED = (7, 8)  # states of a connection, see tcp_states.h: closed, and closed by the other side


@pytest.fixture
def worker(new_worker: Callable[..., Worker]) -> Iterator[Worker]:
    """A worker that may open no more files than is usual, soft limit and hard."""
    worker = new_worker()
    assert worker.terminate() == 0
    worker.launch()
    resource.prlimit(worker.child.pid, resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, MAX_OPEN_FILES))
    worker.child.wait_until(lambda: worker.get("/readyz")[0] == 200, START_TIMEOUT)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield worker
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.timeout(400)
def test_hostile_connections_cost_no_decision(worker: Worker) -> None:
    with deciding(worker) as count:
        for kind, sent in KINDS.items():
            with ExitStack() as stack:
                hostile = [stack.enter_context(connected(worker, sent)) for _ in range(CONNECTIONS)]
                assert worker.get("/healthz")[0] == worker.get("/readyz")[0] == 200, kind
                # Who waits for the worker may wait, and others are told to come again.
                assert worker.get("/stats")[0] == (503 if kind == WAITING else 200), kind
                if kind == UNREAD:
                    # Those beyond the limit; others once the buffers of both sides are full.
                    assert any(map(ended, hostile))
            print(f"{kind}: p99 to a decision so far {p99(worker):g} s")  # noqa: T201
    assert worker.get("/readyz")[0] == 200
    asyncio.run(eventually(lambda: total(worker) == count()))
    assert worker.child.returncode is None
    assert "Too many open files" not in worker.log.read_text()


def total(worker: Worker) -> int | None:
    status, counts = worker.get("/stats")
    return counts["decisions"]["total"] if status == 200 else None


@contextmanager
def deciding(worker: Worker) -> Iterator[Callable[[], int]]:
    """Have transactions decided all the while; gives how many were sent."""
    stop, count = threading.Event(), 0

    def send() -> None:
        nonlocal count
        while not stop.wait(0.2):
            batch = [transaction(f"t{number}") for number in range(count, count + 20)]
            asyncio.run(send_transactions(worker.environment, batch))
            count += len(batch)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield lambda: count
    finally:
        stop.set()
        sender.join()


@contextmanager
def connected(worker: Worker, sent: bytes) -> Iterator[socket.socket]:
    port = int(worker.environment["FRAUD_WEB_PORT"])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        with suppress(ConnectionError):  # ended already: there was one more
            connection.sendall(sent)
        yield connection


def ended(connection: socket.socket) -> bool:
    """Whether the worker has ended it; nothing is read for that."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in ENDED


def p99(worker: Worker) -> float:
    """Upper end of the bucket, in seconds."""
    _, text, _ = worker.text("/metrics")
    lines = [line for line in text.splitlines() if "decision_latency_seconds_bucket" in line]
    buckets = [(line.split('"')[1], float(line.split()[-1])) for line in lines]
    return next(float(end) for end, count in buckets if count >= 0.99 * buckets[-1][1])
