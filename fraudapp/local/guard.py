"""Kills what a process has started once that process is gone, however it went.

Run as a process of its own, which sees its input end even if the one that feeds it gets SIGKILL.
Input: a line `+PID` for each process group started, `-PID` for each that is known to have ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterable


def watch(lines: Iterable[str]) -> None:
    """Read until the input ends, then kill the process groups that have not been taken back."""
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        groups.add(group) if line[0] == "+" else groups.discard(group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    watch(sys.stdin)
