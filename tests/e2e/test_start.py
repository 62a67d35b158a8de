"""A worker starts, or says why not and ends."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fraudapp.kafka.topics import ensure
from fraudapp.local.processes import free_port
from fraudapp.settings import load
from tests.support.messages import encoded, transaction
from tests.support.worker import Worker, run

ROOT = Path(__file__).parents[2]
PACKAGES = ("agents", "data", "fraudapp", "models", "tables", "web")
FAUST = ("-m", "faust", "-A", "fraudapp.app")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project, to be damaged."""
    folder = tmp_path / "project"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("*.csv"))
    return folder


@pytest.fixture
def plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("FRAUD_")}


@pytest.mark.parametrize("module", ["agents/heartbeats.py", "tables/heartbeats.py", "web/stats.py"])
def test_an_error_in_any_module_that_registers_stops_the_worker(
    project: Path, module: str, plain_environment: dict[str, str]
) -> None:
    (project / module).write_text("import a_module_that_is_missing\n")
    done = run([*FAUST, "worker"], plain_environment, cwd=project)
    assert done.returncode != 0
    assert "No module named 'a_module_that_is_missing'" in done.stderr
    assert str(project / module) in done.stderr


def test_a_wrong_setting_stops_every_command_with_its_sentence(
    plain_environment: dict[str, str],
) -> None:
    environment = plain_environment | {"FRAUD_BLOCK_AT": "eighty"}
    for command in ([*FAUST, "worker"], ["-m", "fraudapp", "daily-report"]):
        done = run(command, environment)
        assert done.returncode == 1
        assert "FRAUD_BLOCK_AT='eighty'" in done.stderr
        assert "Traceback" not in done.stderr


def test_without_keys_nothing_is_open_to_others(worker_environment: dict[str, str]) -> None:
    said = "cannot start: everybody who reaches 0.0.0.0"
    for changes, options in (
        ({"FRAUD_WEB_BIND": "0.0.0.0"}, []),
        ({}, ["--web-bind", "0.0.0.0"]),
    ):
        done = run([*FAUST, "worker", "-l", "info", *options], worker_environment | changes)
        assert done.returncode == 1
        assert said in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    closed_port = f"kafka://127.0.0.1:{free_port()}"
    told = worker_environment | {"FRAUD_WEB_BIND": "0.0.0.0", "FRAUD_BROKER_URL": closed_port}
    told |= {"FRAUD_START_TIMEOUT": "1"}
    told |= {"FRAUD_API_KEYS": "a:read:0123456789abcdef"}
    done = run([*FAUST, "worker", "-l", "info"], told)
    assert "cannot start: FRAUD_BROKER_URL" in done.stdout + done.stderr


def test_a_broker_that_is_not_there_is_named(
    worker_environment: dict[str, str], trained_models: Path
) -> None:
    shutil.copytree(trained_models, Path(worker_environment["FRAUD_DATA_DIR"]) / "models")
    environment = worker_environment | {"FRAUD_BROKER_URL": f"kafka://127.0.0.1:{free_port()}"}
    environment["FRAUD_START_TIMEOUT"] = "2"
    done = run([*FAUST, "worker", "-l", "info"], environment)
    assert done.returncode == 1
    assert "cannot start: FRAUD_BROKER_URL=kafka://127.0.0.1:" in done.stdout + done.stderr


async def test_a_topic_with_other_partitions_is_named_with_the_setting(
    worker_environment: dict[str, str], trained_models: Path
) -> None:
    shutil.copytree(trained_models, Path(worker_environment["FRAUD_DATA_DIR"]) / "models")
    await ensure(load(worker_environment | {"FRAUD_TOPIC_PARTITIONS": "3"}))
    done = await asyncio.to_thread(run, [*FAUST, "worker", "-l", "info"], worker_environment)
    assert done.returncode == 1
    assert "set it to 3" in done.stdout + done.stderr


@pytest.mark.parametrize("named", ["", "logistic-0000000000000000"])
def test_a_damaged_model_folder_is_a_sentence(
    worker_environment: dict[str, str], trained_models: Path, named: str
) -> None:
    models = Path(worker_environment["FRAUD_DATA_DIR"]) / "models"
    shutil.copytree(trained_models, models)
    (models / "active").write_text(named)
    done = run([*FAUST, "worker", "-l", "info"], worker_environment)
    told = done.stdout + done.stderr
    assert done.returncode == 1
    assert "cannot start: " in told
    assert str(models) in told
    assert "Traceback" not in told


def test_without_a_model_one_is_trained_and_used(
    worker_environment: dict[str, str], tmp_path: Path
) -> None:
    worker = Worker(worker_environment, tmp_path)
    try:
        worker.start()
        body = encoded(transaction("first"))
        status, decision = worker.post("/transactions?wait_seconds=10", body)
        assert status == 200
        assert decision["model_version"] == worker.stats()["model_version"]
        assert "Training gradient_boosting" in worker.log.read_text()
    finally:
        worker.kill()


def test_faust_variables_of_the_environment_do_not_override_ours(
    new_worker: Callable[..., Worker],
) -> None:
    worker = new_worker(WEB_PORT="1", BROKER_URL="kafka://127.0.0.1:1", NODE_HOSTNAME="x")
    assert worker.get("/readyz")[0] == 200


def test_a_wheel_of_the_project_has_all_it_needs(tmp_path: Path) -> None:
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            tmp_path,
            ROOT,
        ],
        check=True,
        timeout=120,
    )
    for package in PACKAGES:
        sources = {path.relative_to(ROOT) for path in (ROOT / package).rglob("*.py")}
        installed = {path.relative_to(tmp_path) for path in (tmp_path / package).rglob("*.py")}
        assert sources == installed
    assert (tmp_path / "data" / "transactions.csv").stat().st_size > 1_000_000
