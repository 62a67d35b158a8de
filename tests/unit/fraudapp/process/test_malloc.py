"""Freed memory returns to the system, also where it lies between blocks that stay."""

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
def test_holes_between_blocks_that_stay_are_returned_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", HOLES], check=True, capture_output=True, text=True)
    before, after = map(float, done.stdout.split())
    assert before > 200
    assert after < before / 2
