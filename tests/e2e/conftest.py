"""Workers with a trained model, each in a namespace of its own."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fraudapp.local.processes import free_port
from tests.support.worker import Worker

FORGOTTEN = re.compile(r"never retrieved\nfuture: .* defined at (?!.*site-packages)")


@pytest.fixture
def new_worker(
    worker_environment: dict[str, str], trained_models: Path, tmp_path: Path
) -> Iterator[Callable[..., Worker]]:
    """Starts workers of one cluster; further ones have their own port and data folder."""
    workers: list[Worker] = []

    def start(**changes: str) -> Worker:
        folder = Path(changes.get("FRAUD_DATA_DIR", tmp_path / f"data-{len(workers)}"))
        shutil.copytree(trained_models, folder / "models")
        environment = worker_environment | {
            "FRAUD_DATA_DIR": str(folder),
            "FRAUD_WEB_PORT": str(free_port()),
            **changes,
        }
        worker = Worker(environment, tmp_path)
        workers.append(worker)
        worker.start()
        return worker

    yield start
    for worker in workers:
        worker.child.kill()
    for worker in workers:
        # aiokafka's own may have: whoever waits for a commit is answered in time, and it goes on.
        assert not FORGOTTEN.search(worker.log.read_text())


@pytest.fixture
def worker(new_worker: Callable[..., Worker]) -> Worker:
    """One worker, ready."""
    return new_worker()
