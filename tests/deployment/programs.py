"""Programs that judge configuration, or run it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.servers.jars import Missing, cache

KUSTOMIZE = "v5.7.1"


def program(name: str) -> str:
    """Path of a program which `python -m tests.servers.install` installs; or skip, or fail."""
    own = cache() / f"kustomize-{KUSTOMIZE}" / name
    found = str(own) if own.exists() else shutil.which(name)
    if found is None:
        reason = f"{name} is not installed; run `python -m tests.servers.install`"
        if os.environ.get("FRAUD_TEST_REQUIRE_SERVERS") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return found


def fetch_kustomize() -> bool:
    """Build kustomize with Go; false if it was there. Or `Missing`."""
    folder = cache().resolve() / f"kustomize-{KUSTOMIZE}"
    if (folder / "kustomize").exists():
        return False
    if shutil.which("go") is None:
        raise Missing("kustomize needs Go to be built; on Debian: install `golang`")
    done = subprocess.run(
        ["go", "install", f"sigs.k8s.io/kustomize/kustomize/v5@{KUSTOMIZE}"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "GOBIN": str(folder)},
    )
    if done.returncode != 0:
        raise Missing(f"Go cannot build kustomize:\n{done.stderr[-2000:]}")
    return True


def said(argv: list[str | Path], **options: object) -> str:
    """What a program writes; fails if it ends with anything but 0."""
    done = subprocess.run(argv, check=False, capture_output=True, text=True, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)
