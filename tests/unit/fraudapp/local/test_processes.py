"""Child processes are started, waited for and stopped, and none outlives its parent."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from fraudapp.local.processes import (
    HOST,
    Child,
    Ended,
    ProcessError,
    free_port,
    port_in_use,
)

pytestmark = pytest.mark.slow

SLEEP = "import time; time.sleep(600)"

# Starts a child, which starts another one, prints their ids, and waits to be killed.
PARENT = f"""
import sys, time
from pathlib import Path
from fraudapp.local.processes import Child

family = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', '{SLEEP}']).pid);"
child = Child("family", [sys.executable, "-u", "-c", family + "{SLEEP}"], log=Path(sys.argv[1]))
child.start()
child.wait_until(lambda: child.tail().count("\\n") > 0, 10)
print(child.pid, child.tail().splitlines()[-1], flush=True)
"""


def python(code: str, log: Path | None = None) -> Child:
    return Child("program", [sys.executable, "-u", "-c", code], log=log)


@pytest.fixture
def start() -> Iterator[Callable[..., Child]]:
    children: list[Child] = []

    def started(code: str, log: Path | None = None) -> Child:
        child = python(code, log)
        child.start()
        children.append(child)
        return child

    yield started
    for child in children:
        child.kill()


def wait_gone(*pids: int) -> None:
    running = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    _, alive = psutil.wait_procs(running, timeout=10)
    # A zombie has ended: the process that inherited it has not collected it yet.
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_a_parent_that_is_killed(tmp_path: Path, end: signal.Signals) -> None:
    code = PARENT + "time.sleep(600)"
    argv = [sys.executable, "-c", code, str(tmp_path / "log")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child, grandchild = map(int, parent.stdout.readline().split())
        assert psutil.pid_exists(child)
        assert psutil.pid_exists(grandchild)
        parent.send_signal(end)
        parent.wait(10)
    wait_gone(child, grandchild)


def test_nothing_outlives_a_parent_that_forgets_to_stop_it(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", PARENT, str(tmp_path / "log")]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=30)
    # Its exit has waited for the clean-up, so they are gone by now.
    for pid in map(int, done.stdout.split()):
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie"


def test_a_child_outlives_the_thread_that_started_it(start: Callable[..., Child]) -> None:
    children: list[Child] = []
    thread = threading.Thread(target=lambda: children.append(start(SLEEP)))
    thread.start()
    thread.join()
    assert not children[0].wait(0.5)


def test_stop_asks_first(start: Callable[..., Child], tmp_path: Path) -> None:
    code = f"import signal, sys; signal.signal(15, lambda *_: sys.exit(7)); print('up'); {SLEEP}"
    child = start(code, tmp_path / "log")
    child.wait_until(lambda: "up" in child.tail(), 10)
    child.stop()
    assert child.returncode == 7


def test_stop_kills_a_child_that_ignores_the_signal(
    start: Callable[..., Child], tmp_path: Path
) -> None:
    code = f"import signal; signal.signal(15, signal.SIG_IGN); print('up'); {SLEEP}"
    child = start(code, tmp_path / "log")
    child.wait_until(lambda: "up" in child.tail(), 10)
    child.stop(timeout=0.2)
    assert child.returncode == -signal.SIGKILL


def test_stop_ends_a_paused_child(start: Callable[..., Child]) -> None:
    child = start(SLEEP)
    child.pause()
    assert psutil.Process(child.pid).status() == psutil.STATUS_STOPPED
    assert child.running
    child.stop()
    assert child.returncode == -signal.SIGTERM


def test_kill_takes_the_children_of_a_child_with_it(
    start: Callable[..., Child], tmp_path: Path
) -> None:
    family = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}])"
    child = start(f"{family}; print('up'); {SLEEP}", tmp_path / "log")
    child.wait_until(lambda: "up" in child.tail(), 10)
    (grandchild,) = psutil.Process(child.pid).children()
    child.kill()
    wait_gone(grandchild.pid)


def test_stopping_or_killing_what_does_not_run_is_harmless(start: Callable[..., Child]) -> None:
    never = python(SLEEP)
    never.stop()
    never.kill()
    assert never.returncode is None
    ended = start("")
    assert ended.wait(10)
    ended.stop()
    ended.kill()
    assert ended.returncode == 0


def test_a_child_that_ends_before_it_is_ready_is_an_error_with_the_end_of_its_log(
    start: Callable[..., Child], tmp_path: Path
) -> None:
    child = start(
        "import sys; print('old\\n' * 99); sys.exit('the disk is full')", tmp_path / "log"
    )
    with pytest.raises(Ended, match=r"(?s)program ended with 1.*the disk is full") as caught:
        child.wait_until(lambda: False, 10)
    assert str(caught.value).count("old") < 30


def test_a_child_that_is_not_ready_in_time_is_killed(start: Callable[..., Child]) -> None:
    child = start(SLEEP)
    with pytest.raises(ProcessError, match=r"program not ready after 0\.2 s"):
        child.wait_until(lambda: False, 0.2)
    assert not child.running


def test_a_command_that_is_not_there_is_named() -> None:
    with pytest.raises(ProcessError, match=r"cannot start ghost: .*no-such-program"):
        Child("ghost", ["no-such-program"]).start()


def test_a_free_port_is_free_and_not_one_that_clients_get() -> None:
    port = free_port()
    assert not port_in_use(port)
    ranges = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if ranges.exists():
        low, high = map(int, ranges.read_text().split())
        assert not low <= port <= high


def test_a_port_that_was_given_away_is_given_to_no_other_process() -> None:
    port = free_port()
    code = f"""
import secrets
lots = iter([{port - 20_000}] * 2 + list(range(12_000)))
secrets.randbelow = lambda _: next(lots)
from fraudapp.local.processes import free_port
print(free_port())
"""
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(told.stdout) != port


def test_a_port_somebody_listens_on_is_in_use() -> None:
    with socket.create_server((HOST, 0)) as server:
        assert port_in_use(server.getsockname()[1])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may run as somebody else")
def test_a_child_of_root_may_run_as_another_user(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = Child("other", ["id"], log=log, user="nobody", cwd=Path("/"))
    child.start()
    assert child.wait(10)
    assert "nobody" in log.read_text()
    assert "root" not in log.read_text()
