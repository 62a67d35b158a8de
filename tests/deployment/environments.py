"""Python environments beside the one of the tests, made by uv in seconds and kept in the cache."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.servers.jars import cache

TIMEOUT = 600
"""Seconds an installation may take."""


def environment(name: str, *installs: Sequence[str], stamp: bytes = b"") -> Path:
    """Folder of an environment in which each of these `uv pip install ...` was done, in order.

    It is made once for the same name, arguments and `stamp`.
    """
    what = hashlib.sha256(repr(installs).encode() + stamp).hexdigest()[:12]
    folder = cache() / f"{name}-{what}"
    done = folder / "done"
    if not done.exists():
        _uv("venv", "--clear", "--python", sys.executable, str(folder))
        for install in installs:
            _uv("pip", "install", "--python", str(folder / "bin" / "python"), *install)
        done.touch()
    return folder


def _uv(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "uv", "--quiet", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stderr
