"""Child processes that never outlive the process which started them."""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO, Final, cast

import psutil

from fraudapp.local import guard

HOST: Final = "127.0.0.1"
POLL_INTERVAL: Final = 0.05
"""Seconds between two probes of a server that is starting."""

_guard_lock = threading.Lock()


class ProcessError(RuntimeError):
    """A child process failed; the message has the end of its log."""


class Ended(ProcessError):
    """A child process ended before it was ready."""


class Child:
    """One command in a process group of its own, so that Ctrl-C reaches the parent only."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        """Describe the command; without `log` or `user`, it has those of this process."""
        self.name = name
        self._argv = list(argv)
        self._log = log
        self._env = env
        self._cwd = cwd
        self._user = user
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id; raises `ProcessError` before the start."""
        if self._process is None:
            raise ProcessError(f"{self.name} was not started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process was started and has not ended; true while it is paused."""
        return self._process is not None and self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        """Exit code, or minus the number of the signal that ended it; None while it runs."""
        return None if self._process is None else self._process.returncode

    def start(self) -> None:
        """Start the process; raises `ProcessError` if the command cannot be run."""
        with contextlib.ExitStack() as stack:
            output: IO[bytes] | None = None
            if self._log is not None:
                self._log.parent.mkdir(parents=True, exist_ok=True)
                output = stack.enter_context(self._log.open("ab"))
            try:
                self._process = self._spawned(output)
            except OSError as exc:
                raise ProcessError(f"cannot start {self.name}: {exc}") from exc
        _tell_guard("+", self.pid)

    def _spawned(self, output: IO[bytes] | None) -> subprocess.Popen[bytes]:
        account = pwd.getpwnam(self._user) if self._user else None
        return subprocess.Popen(  # noqa: S603 - our own commands
            self._argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=self._env,
            cwd=self._cwd,
            start_new_session=True,
            user=account and account.pw_uid,
            group=account and account.pw_gid,
            extra_groups=None if account is None else [],
        )

    def wait_until(self, ready: Callable[[], bool], timeout: float) -> None:
        """Block until `ready` returns true, which is called every `POLL_INTERVAL`.

        `ready` must return soon. Raises `Ended` if the process ends before. After `timeout` seconds
        the process is killed, and `ProcessError` is raised.
        """
        deadline = time.monotonic() + timeout
        while not ready():
            if self.wait(POLL_INTERVAL):
                raise Ended(f"{self.name} ended with {self.returncode}{self.tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise ProcessError(f"{self.name} not ready after {timeout:g} s{self.tail()}")

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the process to end; return whether it has ended."""
        if self._process is None:
            return True
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        _tell_guard("-", self.pid)
        return True

    def stop(self, timeout: float = 15.0) -> None:
        """Ask the process to end, and kill it after `timeout` seconds; harmless without one."""
        if self.running:
            self.resume()  # a paused process does not get the signal
            self.send(self._stop_signal)
        if not self.wait(timeout):
            self.kill()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this process alone, not to those that it has started."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the process and all its descendants; they get no chance to clean up."""
        if self.running:
            family = self._signal(signal.SIGKILL)
            self.wait(timeout=10)
            psutil.wait_procs(family, timeout=10)

    def pause(self) -> None:
        """Freeze the process and all its descendants: connections stay, and nothing is answered."""
        self._signal(signal.SIGSTOP)
        # Wait until its last thread has stopped, and leave the exit status for `Popen` to collect.
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Undo `pause`."""
        self._signal(signal.SIGCONT)

    def tail(self, lines: int = 30) -> str:
        """Return the end of the log for an error message; empty if there is no log."""
        if self._log is None or not self._log.exists():
            return ""
        last = self._log.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join([f"; the end of {self._log}:", *last])

    def _signal(self, number: signal.Signals) -> list[psutil.Process]:
        # The process group would not do: PostgreSQL gives each of its processes its own group.
        parent = psutil.Process(self.pid)
        family = [parent, *parent.children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        return family


_claims: Final[deque[socket.socket]] = deque(maxlen=256)
"""UDP sockets on the last ports that `free_port` has returned; what falls out is closed."""


def free_port() -> int:
    """Return a TCP port that nobody listens on, below the range that the system gives to clients.

    A client that retries on a port of that range while its server is down can connect to itself,
    and then keeps the server from coming back. The server for a port may not have been started yet:
    while this process lives, no process of this machine is given one of its last ports again.
    """
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind((HOST, port))  # UDP has ports of its own: in no server's way
        except OSError:
            claim.close()
            continue
        if port_in_use(port):
            claim.close()
            continue
        _claims.append(claim)
        return port


def port_in_use(port: int) -> bool:
    """Return whether no server can listen on the port."""
    with socket.socket() as probe:
        # As servers do: connections that linger after a restart are no obstacle then.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def _tell_guard(sign: str, pid: int) -> None:
    with _guard_lock:
        cast(IO[bytes], _guard().stdin).write(f"{sign}{pid}\n".encode())


@lru_cache(maxsize=1)
def _guard() -> subprocess.Popen[bytes]:
    # Unlike the "parent death signal" of Linux, this also works on macOS, and for children that any
    # thread of this process starts.
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-I", guard.__file__],
        stdin=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )
    atexit.register(process.communicate)  # ends the input, and waits for the clean-up
    return process
