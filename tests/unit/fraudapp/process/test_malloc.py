"""What is let go of goes back to the system, holes and all."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

HOLES = """
import psutil
from fraudapp.process import malloc

def resident():
    return psutil.Process().memory_info().rss / 2**20

malloc.limit_arenas()
kept = [bytes(600) for _ in range(400_000)]
kept[:] = kept[::50]
before = resident()
malloc.trim()
print(before, resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_holes_between_what_stays_are_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", HOLES], check=True, capture_output=True, text=True)
    before, after = map(float, done.stdout.split())
    assert before > 200
    assert after < before / 2
