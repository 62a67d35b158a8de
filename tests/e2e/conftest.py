"""Workers with a trained model, each in a corner of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fraudapp.first_model import train_and_activate
from fraudapp.local.processes import free_port
from fraudapp.settings import load
from tests.e2e.worker import Worker


@pytest.fixture(scope="session")
def trained_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a model trained on the sample, as the first run of a worker leaves it."""
    data_dir = tmp_path_factory.mktemp("trained")
    train_and_activate(load({"FRAUD_DATA_DIR": str(data_dir)}), lambda line: None)
    return data_dir / "models"


@pytest.fixture
def new_worker(
    worker_environment: dict[str, str], trained_models: Path, tmp_path: Path
) -> Iterator[Callable[..., Worker]]:
    """Starts workers of one cluster; further ones have their own port and data folder."""
    workers: list[Worker] = []

    def start(**changes: str) -> Worker:
        folder = tmp_path / f"data-{len(workers)}"
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
        assert "never retrieved" not in worker.log.read_text()


@pytest.fixture
def worker(new_worker: Callable[..., Worker]) -> Worker:
    """One worker, ready."""
    return new_worker()
