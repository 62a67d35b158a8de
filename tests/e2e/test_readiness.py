"""A worker that cannot read or write in Kafka is not ready, says why, and recovers."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from fraudapp.local.processes import free_port
from tests.conftest import inherited_environment
from tests.servers.choice import real
from tests.servers.s3proxy import S3Proxy
from tests.servers.secured import PASSWORD, Certificates, GuardedKafka
from tests.support import readback
from tests.support.messages import encoded, send, transaction
from tests.support.worker import Worker


class Denial(NamedTuple):
    """An operation that the broker denies to the worker, and the reason in `/readyz`."""

    kind: str
    name: str
    operation: str
    check: str
    """The check of `/readyz` that fails."""

    def of(self, app_id: str) -> tuple[str, str, str]:
        return self.kind, self.name.format(app_id), self.operation


READING = [
    Denial("topic", "{}-decisions", "READ", "kafka"),
    Denial("topic", "{}-transactions", "READ", "kafka"),
    Denial("topic", "{}-decisions", "DESCRIBE", "kafka"),
]
AT_START = [
    Denial("topic", "{}-decisions", "READ", "ledgers"),
    Denial("topic", "{}-transactions", "READ", "kafka"),
    Denial("group", "{}-redis", "DESCRIBE", "kafka"),
    Denial("group", "{}", "READ", "kafka"),
]


@pytest.fixture(scope="module")
def guarded() -> Iterator[GuardedKafka]:
    folder = Path(tempfile.mkdtemp(prefix="fraudapp-tests-"))
    certificates = Certificates(folder / "certificates")
    kafka = real(lambda path: GuardedKafka(path, certificates), folder / "kafka")
    assert isinstance(kafka, GuardedKafka)
    try:
        kafka.start()
        kafka.allow_all()
        yield kafka
    finally:
        kafka.stop()
        shutil.rmtree(folder)


@pytest.fixture
def worker(
    guarded: GuardedKafka,
    topics: dict[str, str],
    postgres_url: str,
    redis_url: str,
    s3: S3Proxy,
    s3_bucket: str,
    trained_models: Path,
    tmp_path: Path,
) -> Iterator[Worker]:
    """One that is not started yet."""
    shutil.copytree(trained_models, tmp_path / "data" / "models")
    environment = {
        **inherited_environment(),
        **topics,
        **s3.settings,
        "FRAUD_BROKER_URL": guarded.url,
        "FRAUD_BROKER_SECURITY": "SASL_SSL",
        "FRAUD_BROKER_USER": guarded.user,
        "FRAUD_BROKER_PASSWORD": PASSWORD,
        "FRAUD_BROKER_CA_FILE": str(guarded.folder.parent / "certificates" / "ca.pem"),
        "FRAUD_POSTGRES_URL": postgres_url,
        "FRAUD_REDIS_URL": redis_url,
        "FRAUD_ARCHIVE_URL": f"s3://{s3_bucket}",
        "FRAUD_DATA_DIR": str(tmp_path / "data"),
        "FRAUD_WEB_PORT": str(free_port()),
    }
    worker = Worker(environment, tmp_path)
    yield worker
    worker.kill()
    guarded.revive()


async def not_ready(worker: Worker, check: str, *words: str) -> None:
    """Return when it is not ready for a reason that is told with these words."""

    def told() -> bool:
        assert worker.child.running, worker.child.tail()
        status, answer = worker.get("/readyz")
        return (
            status == 503
            and not answer["checks"][check]
            and all(word in answer["detail"] for word in words)
        )

    await readback.eventually(told)


async def decides(worker: Worker, transaction_id: str) -> None:
    """Return when it is ready, and has decided one more."""
    await readback.eventually(lambda: worker.get("/readyz")[0] == 200)
    body = encoded(transaction(transaction_id))
    status, _ = await asyncio.to_thread(worker.post, "/transactions?wait_seconds=20", body)
    assert status == 200
    assert worker.child.running


def lines(worker: Worker, *words: str) -> list[str]:
    """What the log has with all these words."""
    return [line for line in worker.log.read_text().splitlines() if all(w in line for w in words)]


@pytest.mark.parametrize("denial", READING, ids=lambda each: f"{each.operation}-{each.name[3:]}")
async def test_a_topic_that_can_no_longer_be_read(
    guarded: GuardedKafka, worker: Worker, denial: Denial
) -> None:
    await asyncio.to_thread(worker.start)
    await decides(worker, "before")
    what = denial.of(worker.environment["FRAUD_APP_ID"])
    guarded.deny(*what)
    await not_ready(worker, denial.check, "AuthorizationFailed", what[1])
    guarded.allow(*what)
    await decides(worker, "after")
    told = lines(worker, "WARNING", what[1], "AuthorizationFailed", "; retrying")
    assert told
    assert lines(worker, "INFO", what[1], "succeeded again after")
    assert not lines(worker, "retry_scheduled")
    assert not lines(worker, "Traceback")


@pytest.mark.parametrize("denial", AT_START, ids=lambda each: f"{each.operation}-{each.name[3:]}")
async def test_what_cannot_be_read_at_the_start(
    guarded: GuardedKafka, worker: Worker, denial: Denial
) -> None:
    what = denial.of(worker.environment["FRAUD_APP_ID"])
    guarded.deny(*what)
    worker.launch()
    await not_ready(worker, denial.check, "AuthorizationFailed", what[1])
    guarded.allow(*what)
    await decides(worker, "after")
    assert lines(worker, "WARNING", what[1], "AuthorizationFailed", "; retrying")
    assert not lines(worker, "retry_scheduled")


async def test_a_table_that_cannot_be_read_at_the_start(
    guarded: GuardedKafka, worker: Worker
) -> None:
    what = "topic", f"{worker.environment['FRAUD_APP_ID']}-decision-counts-changelog", "READ"
    guarded.deny(*what)
    worker.launch()  # which opens its tables before its port
    await readback.eventually(lambda: lines(worker, "WARNING", "needs READ on topic", what[1]))
    guarded.allow(*what)
    await decides(worker, "after")


async def test_a_log_that_cannot_be_written(guarded: GuardedKafka, worker: Worker) -> None:
    await asyncio.to_thread(worker.start)
    what = "topic", worker.environment["FRAUD_DECISIONS_TOPIC"], "WRITE"
    guarded.deny(*what)
    await asyncio.to_thread(worker.post, "/transactions", encoded(transaction("waits")))
    await not_ready(worker, "kafka", "needs WRITE on topic", what[1])
    guarded.allow(*what)
    await decides(worker, "after")


async def test_a_dead_letter_topic_that_cannot_be_described(
    guarded: GuardedKafka, worker: Worker
) -> None:
    await asyncio.to_thread(worker.start)
    what = "topic", worker.environment["FRAUD_DEAD_LETTERS_TOPIC"], "DESCRIBE"
    guarded.deny(*what)
    # In the clear; the worker has its own way in.
    inside = worker.environment | {"FRAUD_BROKER_URL": guarded.inside_url}
    await send(inside, [(b"bad", b"no transaction")])
    await not_ready(worker, "kafka", "needs DESCRIBE on topic", what[1])
    guarded.allow(*what)
    await decides(worker, "after")
    dead_letters = await readback.in_topic(inside, "dead_letters")
    assert [each.value for each in dead_letters] == [b"no transaction"]


async def test_a_broker_that_does_not_answer(guarded: GuardedKafka, worker: Worker) -> None:
    await asyncio.to_thread(worker.start)
    guarded.pause()
    await not_ready(worker, "kafka", worker.environment["FRAUD_TRANSACTIONS_TOPIC"])
    guarded.resume()
    await decides(worker, "after")


async def test_a_worker_is_ready_while_sinks_are_down(worker: Worker) -> None:
    nowhere = free_port()
    worker.environment["FRAUD_REDIS_URL"] = f"redis://127.0.0.1:{nowhere}/0"
    await asyncio.to_thread(worker.start)
    await readback.eventually(lambda: lines(worker, "WARNING", "saving to redis", str(nowhere)))
    await decides(worker, "one")


async def test_a_worker_that_cannot_read_stops_when_it_is_asked_to(
    guarded: GuardedKafka, worker: Worker
) -> None:
    await asyncio.to_thread(worker.start)
    what = "topic", worker.environment["FRAUD_DECISIONS_TOPIC"], "READ"
    guarded.deny(*what)
    await not_ready(worker, "kafka", what[1])
    assert await asyncio.to_thread(worker.terminate) == 0
    guarded.allow(*what)
