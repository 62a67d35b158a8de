"""What the figures were measured on; without it they mean nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import psutil

from tests.servers.jars import java
from tests.servers.postgres import find_programs

ROOT: Final = Path(__file__).parents[2]
_LIBRARIES: Final = [
    "faust-streaming",
    "aiokafka",
    "confluent-kafka",
    "msgspec",
    "numpy",
    "scikit-learn",
    "uvloop",
    "redis",
    "asyncpg",
    "aiobotocore",
    "rocksdict",
    "faststream",
    "quixstreams",
]


def surroundings() -> dict[str, str]:
    """Names and values, in the order to print them."""
    memory = psutil.virtual_memory().total / 2**30
    return {
        "commit": _output("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        "cpu": f"{_cpu()}, {os.cpu_count()} cores shared with the servers, {memory:.0f} GiB",
        "load": " ".join(f"{each:.1f}" for each in os.getloadavg()) + " (1, 5, 15 minutes, before)",
        "system": platform.platform(),
        "python": platform.python_version(),
        "kafka": _jar("kafka", "kafka_2*.jar"),
        "postgres": _output(str(find_programs() / "postgres"), "--version"),
        "redis": _output("redis-server", "--version").partition(" sha=")[0],
        "s3": _jar("s3proxy", "s3proxy*.jar"),
        "libraries": ", ".join(f"{name} {_version(name)}" for name in _LIBRARIES),
    }


def _jar(profile: str, pattern: str) -> str:
    # The class path comes last, and is one pattern: `FOLDER/*`.
    found = Path(java(profile)[-1]).parent.glob(pattern)
    return min((path.stem for path in found), key=len, default="unknown")


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _output(*argv: str) -> str:
    try:
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
