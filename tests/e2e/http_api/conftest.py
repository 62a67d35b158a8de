"""One worker for all tests of this package; they count on what they send, not on a clean slate."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fraudapp.local.postgres import Postgres
from fraudapp.local.processes import free_port
from fraudapp.local.redis import Redis
from fraudapp.local.server import Server
from tests.conftest import execute, inherited_environment, topics_of
from tests.support.worker import Worker

NAME = "http-api"


@pytest.fixture(scope="package")
def worker(
    kafka: Server,
    postgres: Postgres,
    redis_server: Redis,
    trained_models: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Worker]:
    """A worker without keys, ready."""
    folder = tmp_path_factory.mktemp(NAME)
    asyncio.run(execute(postgres, f'CREATE DATABASE "{NAME}"'))
    shutil.copytree(trained_models, folder / "data" / "models")
    worker = Worker(
        {
            **inherited_environment(),
            **topics_of(NAME),
            "FRAUD_BROKER_URL": kafka.url,
            "FRAUD_POSTGRES_URL": postgres.url_of(NAME),
            "FRAUD_REDIS_URL": redis_server.url_of(0),
            "FRAUD_DATA_DIR": str(folder / "data"),
            "FRAUD_WEB_PORT": str(free_port()),
        },
        folder,
    )
    worker.start()
    yield worker
    worker.child.kill()
    asyncio.run(execute(postgres, f'DROP DATABASE "{NAME}" WITH (FORCE)'))
