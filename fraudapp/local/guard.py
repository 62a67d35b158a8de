"""Kills the children of a process once that process has ended, in whatever way it ended.

The guard is a process of its own. It sees its input end even if the process that writes it is
killed with SIGKILL. The input has a line `+PID` for each process group that was started, and `-PID`
for each that is known to have ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterable


def watch(lines: Iterable[str]) -> None:
    """Read until the input ends, then kill the process groups that are not known to have ended."""
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        groups.add(group) if line[0] == "+" else groups.discard(group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    watch(sys.stdin)
