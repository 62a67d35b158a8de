"""Fixtures that every test may ask for: the real servers, and a fresh namespace of each.

`kafka`, `postgres`, `redis_server` and `s3` start once a session, when first asked for, and have
`kill()`, `pause()`, `resume()`, `stop()`, `restart()`: whatever a test has done to a server, the
next one finds it running.
"""

from __future__ import annotations

import fcntl
import gc
import itertools
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import cast

import asyncpg
import hypothesis
import pytest
import redis as redis_client

from fraudapp.first_model import train_and_activate
from fraudapp.local.postgres import Postgres
from fraudapp.local.processes import free_port
from fraudapp.local.redis import Redis
from fraudapp.local.server import Server
from fraudapp.settings import load
from tests.servers.choice import make, real
from tests.servers.pgbouncer import PgBouncer
from tests.servers.s3proxy import S3Proxy
from tests.support.small_disk import SmallDisk

# Machines are noisy: no test fails because something took its time.
hypothesis.settings.register_profile("untimed", deadline=None)
# The gate tries the same examples each time, so that only a change can turn it red. New ones are
# looked for by everybody else who runs the tests.
hypothesis.settings.register_profile("gate", deadline=None, derandomize=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "untimed"))


def pytest_collection_finish() -> None:
    """Leave what there is now out of each later look of the garbage collector: it takes .2 s."""
    gc.collect()
    gc.freeze()


REDIS_DATABASES = 16

_running: dict[str, Server] = {}
_redis_numbers = itertools.cycle(range(REDIS_DATABASES))


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[str], Server]]:
    """Starts a server of a kind, once; all are stopped at the end, and their folders removed."""
    folder = Path(tempfile.mkdtemp(prefix="fraudapp-tests-"))
    folder.chmod(0o711)  # PostgreSQL may run as another user

    def started(kind: str) -> Server:
        if kind not in _running:
            server = make(kind, folder / kind)
            server.start()
            _running[kind] = server
        return _running[kind]

    yield started
    for server in reversed(_running.values()):
        server.stop()
    _running.clear()
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def _servers_alive_for_the_next_test() -> Iterator[None]:
    yield
    for server in _running.values():
        server.revive()


@pytest.fixture(scope="session")
def kafka(servers: Callable[[str], Server]) -> Server:
    """Apache Kafka (else the broker of the embedded stack, which is in memory)."""
    return servers("kafka")


@pytest.fixture(scope="session")
def postgres(servers: Callable[[str], Server]) -> Postgres:
    """PostgreSQL."""
    return cast(Postgres, servers("postgres"))


@pytest.fixture(scope="session")
def redis_server(servers: Callable[[str], Server]) -> Redis:
    """Redis, which keeps nothing over a restart."""
    return cast(Redis, servers("redis"))


@pytest.fixture(scope="session")
def s3(servers: Callable[[str], Server]) -> S3Proxy:
    """An S3 server that checks signatures."""
    return cast(S3Proxy, servers("s3"))


@pytest.fixture(scope="session")
def trained_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a model trained on the sample, as the first run of a worker leaves it."""
    base = tmp_path_factory.getbasetemp()
    # All processes of a run share it: it takes a quarter of a minute.
    data_dir = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "trained"
    with data_dir.with_suffix(".lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not data_dir.exists():
            train_and_activate(load({"FRAUD_DATA_DIR": str(data_dir)}), lambda line: None)
    return data_dir / "models"


@pytest.fixture
def unique() -> str:
    """A name that no other test has: lower-case letters, digits and hyphens."""
    return f"t-{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def postgres_url(postgres: Postgres, unique: str) -> AsyncIterator[str]:
    """URL (`postgresql+asyncpg://`) of an empty database."""
    await execute(postgres, f'CREATE DATABASE "{unique}"')
    yield postgres.url_of(unique)
    postgres.revive()
    await execute(postgres, f'DROP DATABASE "{unique}" WITH (FORCE)')


@pytest.fixture
def pgbouncer(
    request: pytest.FixtureRequest, postgres: Postgres, postgres_url: str
) -> Iterator[PgBouncer]:
    """A pooler in transaction mode, or in that of the parameter, in front of the database."""
    mode = getattr(request, "param", "transaction")
    database = postgres_url.rpartition("/")[2]
    # Not in `tmp_path`: PgBouncer may run as another user.
    folder = Path(tempfile.mkdtemp(prefix="fraudapp-pgbouncer-"))
    folder.chmod(0o711)

    def maker(folder: Path) -> PgBouncer:
        # In session mode a connection is a client's for as long as it likes.
        size = 2 if mode == "transaction" else 20
        return PgBouncer(folder, postgres.port, database, pool_mode=mode, pool_size=size)

    pooler = real(maker, folder / "pgbouncer")
    pooler.start()
    yield pooler
    pooler.stop()
    shutil.rmtree(folder)


@pytest.fixture
def redis_url(redis_server: Redis) -> str:
    """URL (`redis://`) of an empty database."""
    number = next(_redis_numbers)
    with redis_client.Redis(port=redis_server.port, db=number) as client:
        client.flushdb()
    return redis_server.url_of(number)


@pytest.fixture
def s3_bucket(s3: S3Proxy, unique: str) -> str:
    """Name of an empty bucket."""
    s3.make_bucket(unique)
    return unique


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk that can be full."""
    disk = real(SmallDisk, tmp_path / "disk")
    yield disk
    disk.remove()


@pytest.fixture
def topics(unique: str) -> dict[str, str]:
    """Settings that give a test its own consumer group and topics."""
    return topics_of(unique)


def topics_of(name: str) -> dict[str, str]:
    """Settings of the consumer group and the topics of that name."""
    return {
        "FRAUD_APP_ID": name,
        "FRAUD_TRANSACTIONS_TOPIC": f"{name}-transactions",
        "FRAUD_DECISIONS_TOPIC": f"{name}-decisions",
        "FRAUD_DEAD_LETTERS_TOPIC": f"{name}-dead-letters",
        "FRAUD_CONTROL_TOPIC": f"{name}-control",
        "FRAUD_LABELS_TOPIC": f"{name}-labels",
    }


def inherited_environment() -> dict[str, str]:
    """The environment without any of the application's settings."""
    return {name: value for name, value in os.environ.items() if name[:6] != "FRAUD_"}


@pytest.fixture
def worker_environment(
    kafka: Server,
    postgres_url: str,
    redis_url: str,
    s3: S3Proxy,
    s3_bucket: str,
    topics: dict[str, str],
    tmp_path: Path,
) -> dict[str, str]:
    """Environment of a worker process with a namespace of every server to itself."""
    return {
        **inherited_environment(),
        **topics,
        **s3.settings,
        "FRAUD_BROKER_URL": kafka.url,
        "FRAUD_POSTGRES_URL": postgres_url,
        "FRAUD_REDIS_URL": redis_url,
        "FRAUD_ARCHIVE_URL": f"s3://{s3_bucket}",
        "FRAUD_DATA_DIR": str(tmp_path / "data"),
        "FRAUD_WEB_PORT": str(free_port()),
    }


async def execute(postgres: Postgres, statement: str) -> None:
    """Execute a statement as the owner of the server."""
    url = postgres.url.replace("+asyncpg", "")
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
