"""Workers decide by the model that `FRAUD_MODEL_VERSION` names, or do not start."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fraudapp.first_model import ready_scorer
from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import load
from models.artifact import MODEL_FILE, ModelFileError
from tests.deployment.manifests import KUBERNETES, Objects, kustomized, one, overlay
from tests.support.worker import Worker

MISSING = "logistic-0123456789abcdef"


def brought(objects: Objects, model: Path, data: Path) -> None:
    """Run what brings the model to a worker's volume."""
    (step,) = one(objects, "StatefulSet")["spec"]["template"]["spec"]["initContainers"]
    (variable,) = step["env"]
    reference = variable["valueFrom"]["configMapKeyRef"]
    given = one(objects, "ConfigMap", reference["name"])["data"][reference["key"]]
    places = {"/data": data, "/model": model}
    assert {each["mountPath"] for each in step["volumeMounts"]} == set(places)
    run(step, places, {variable["name"]: given})


def run(step: dict[str, Any], places: dict[str, Path], environment: dict[str, str]) -> None:
    """Run a container's script with its volumes at other places."""
    (script,) = step["args"]
    for there, here in places.items():
        script = script.replace(f"{there}/", f"{here}/")
    subprocess.run(
        [*step["command"], script],
        check=True,
        env={"PATH": os.environ["PATH"]} | environment,
    )


@pytest.fixture
def mounted(trained_models: Path, tmp_path: Path) -> Path:
    """A model's folder as a volume of its ConfigMap: links, and nothing may be written."""
    version = ModelRegistry(trained_models).active() or ""
    there = tmp_path / "mounted"
    shutil.copytree(trained_models / version, there / "..data")
    for file in (there / "..data").iterdir():
        (there / file.name).symlink_to(f"..data/{file.name}")
    return there


def test_all_workers_decide_by_the_named_model_or_do_not_start(
    trained_models: Path, mounted: Path, tmp_path: Path
) -> None:
    version = ModelRegistry(trained_models).active() or ""
    named = overlay(tmp_path / "k", FRAUD_MODEL_VERSION=version)
    other = overlay(tmp_path / "k", FRAUD_MODEL_VERSION=MISSING)
    said_so: list[str] = []
    for objects, fits in ((kustomized(KUBERNETES / "base"), False), (other, False), (named, True)):
        told = dict(one(objects, "ConfigMap")["data"])
        for volume in ("empty", "kept"):
            told["FRAUD_DATA_DIR"] = str(tmp_path / volume)
            for _ in range(2):
                brought(objects, mounted, tmp_path / volume)
                settings = load(told)
                if fits:
                    assert ready_scorer(settings, said_so.append).version == version
                else:
                    with pytest.raises(ModelFileError, match=r"FRAUD_MODEL_VERSION=.*no model"):
                        ready_scorer(settings, said_so.append)
    # Back to what is on the volume, whatever the ConfigMap has by then.
    brought(other, tmp_path / "nothing", tmp_path / "kept")
    brought(named, tmp_path / "nothing", tmp_path / "kept")
    told = {**one(named, "ConfigMap")["data"], "FRAUD_DATA_DIR": str(tmp_path / "kept")}
    assert ready_scorer(load(told), said_so.append).version == version
    assert said_so == []  # nothing was trained


def test_a_damaged_copy_of_the_named_model_is_replaced(
    trained_models: Path, mounted: Path, tmp_path: Path
) -> None:
    version = ModelRegistry(trained_models).active() or ""
    objects, data = overlay(tmp_path / "k", FRAUD_MODEL_VERSION=version), tmp_path / "data"
    for damage in (lambda file: file.write_text("{"), Path.unlink):
        brought(objects, mounted, data)
        damage(data / "models" / version / MODEL_FILE)
        brought(objects, mounted, data)
        assert ModelRegistry(data / "models").load(version).version == version


@pytest.mark.parametrize("there", [True, False])
def test_the_daily_report_has_the_card_of_the_named_model(
    trained_models: Path, mounted: Path, tmp_path: Path, there: bool
) -> None:
    version = ModelRegistry(trained_models).active() or ""
    (program := tmp_path / "fraudapp").write_text('#!/bin/sh\necho "$@" > "$0.said"\n')
    program.chmod(0o700)
    report = one(kustomized(KUBERNETES / "base"), "CronJob", "fraudapp-daily-report")["spec"]
    (step,) = report["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    places = {"/data": tmp_path / "data", "/model": mounted if there else tmp_path / "nothing"}
    path = f"{tmp_path}:{os.environ['PATH']}"
    run(step, places, {"FRAUD_MODEL_VERSION": version, "PATH": path})
    assert "daily-report --date" in Path(f"{program}.said").read_text()
    if there:
        assert ModelRegistry(tmp_path / "data" / "models").card(version).training


def test_what_documents_name_is_the_model_of_the_sample(trained_models: Path) -> None:
    named = (KUBERNETES / "overlays/example/kustomization.yaml", KUBERNETES.parent / "RUNBOOK.md")
    for file in named:
        versions = re.findall(r"gradient_boosting-[0-9a-f]{16}", file.read_text())
        assert versions == [ModelRegistry(trained_models).active()], file


def test_a_worker_without_the_named_model_says_so_and_does_not_start(
    worker_environment: dict[str, str], trained_models: Path, tmp_path: Path
) -> None:
    told = worker_environment | {"FRAUD_MODEL_VERSION": MISSING}
    worker = Worker(told, tmp_path)
    shutil.copytree(trained_models, worker.data_dir / "models")
    worker.launch()
    assert worker.child.wait(60)
    assert worker.child.returncode == 1
    log = worker.log.read_text()
    assert f"cannot start: FRAUD_MODEL_VERSION={MISSING}: there is no model" in log
    assert "Traceback" not in log


def test_the_named_model_decides_whichever_is_active(
    new_worker: Callable[..., Worker], trained_models: Path
) -> None:
    version = ModelRegistry(trained_models).active() or ""
    worker = new_worker(FRAUD_MODEL_VERSION=version)
    for pointer in (worker.data_dir / "models").glob("active*"):
        pointer.write_text(MISSING)
    assert worker.terminate() == 0
    worker.start()
    assert f'version="{version}"' in worker.text("/metrics")[1]
    assert f"* {version}" in worker.run("models", "list")
