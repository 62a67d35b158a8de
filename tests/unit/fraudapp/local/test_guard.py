"""The guard kills the process groups that are left when its input ends."""

from __future__ import annotations

import signal
import subprocess
import sys

from fraudapp.local.guard import watch


def test_groups_that_are_not_known_to_have_ended_are_killed_at_the_end_of_the_input() -> None:
    argv = [sys.executable, "-c", "import time; time.sleep(600)"]
    with (
        subprocess.Popen(argv, start_new_session=True) as left,
        subprocess.Popen(argv, start_new_session=True) as ended,
    ):
        watch([f"+{left.pid}\n", f"+{ended.pid}\n", f"-{ended.pid}\n"])
        assert left.wait(10) == -signal.SIGKILL
        assert ended.poll() is None
        ended.kill()


def test_a_group_that_has_ended_is_no_error() -> None:
    with subprocess.Popen([sys.executable, "-c", ""], start_new_session=True) as process:
        process.wait(10)
        watch([f"+{process.pid}\n"])
