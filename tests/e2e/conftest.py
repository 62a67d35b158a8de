"""Workers with a trained model, each in a namespace of its own."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fraudapp.first_model import train_and_activate
from fraudapp.local.processes import free_port
from fraudapp.settings import load
from tests.support.worker import Worker

FORGOTTEN = re.compile(r"never retrieved\nfuture: .* defined at (?!.*site-packages)")


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
