"""Starts Python programs by forking a process that has imported their libraries already.

A worker spends two thirds of its start on importing what others have written, and tests start
hundreds. What is forked is a child of whoever asked, in a session of its own, with the environment
and the arguments that it would have had, and none of our own modules imported.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any, Final, cast

from fraudapp.local.processes import POLL_INTERVAL, Child

LIBRARIES: Final = (
    "faust.assignor",
    "faust.cli.faust",
    "faust.livecheck",
    "faust.stores.rocksdb",
    "faust.tables.objects",
    "faust.transport.drivers.aiokafka",
    "faust.transport.utils",
    "faust.web.drivers.aiohttp",
    "aiokafka.admin",
    "asyncpg",
    "isal.igzip",
    "jinja2",
    "limits",
    "msgspec.json",
    "msgspec.toml",
    "numpy.typing",
    "pandas",
    "prometheus_client.core",
    "pydantic_settings",
    "redis.asyncio",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.ext.asyncio",
    "stamina",
    "tqdm",
    "uvloop",
)
_SUBREAPER: Final = 36  # PR_SET_CHILD_SUBREAPER, see prctl(2)
_INTERPRETED: Final = ("LD_", "PYTHON")
_turn = threading.Lock()


class ForkedChild(Child):
    """A `Child` that is forked, where that makes no difference to the program."""

    def _spawned(self, output: IO[bytes] | None) -> subprocess.Popen[bytes]:
        if output is None or not _can_be_forked(self._argv, self._env):
            return super()._spawned(output)
        process = Forked(self._argv[2:], output, output, self._env)
        return cast("subprocess.Popen[bytes]", process)


def run(
    argv: Sequence[str], env: Mapping[str, str], cwd: Path | None, timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, and return what it has written; as `subprocess.run` does."""
    if cwd is not None or not _can_be_forked(argv, env):
        return subprocess.run(
            argv, env=env, cwd=cwd, check=False, capture_output=True, text=True, timeout=timeout
        )
    with NamedTemporaryFile("r") as stdout, NamedTemporaryFile("r") as stderr:
        process = Forked(argv[2:], stdout, stderr, env)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            raise
        return subprocess.CompletedProcess(list(argv), code, stdout.read(), stderr.read())


def _can_be_forked(argv: Sequence[str], env: Mapping[str, str] | None) -> bool:
    """Whether it is a package run by this Python, which starts as this process did."""
    wanted = dict(os.environ if env is None else env)
    names = [name for name in {*wanted, *os.environ} if name.startswith(_INTERPRETED)]
    same = all(wanted.get(name) == os.environ.get(name) for name in names)
    return sys.platform == "linux" and same and list(argv[:2]) == [sys.executable, "-m"]


class Forked:
    """What is used here of `subprocess.Popen`."""

    def __init__(
        self,
        arguments: Sequence[str],
        stdout: IO[Any],
        stderr: IO[Any],
        env: Mapping[str, str] | None,
    ) -> None:
        """`arguments` are those of Python's `-m`: a package, and what it is called with."""
        self.returncode: int | None = None
        request = {
            "arguments": list(arguments),
            "output": [stdout.name, stderr.name],
            "env": dict(os.environ if env is None else env),
            "cwd": str(Path.cwd()),
        }
        with _turn:
            self.pid = _ask(request)

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Return the exit code once it has ended; raises `TimeoutExpired`."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(min(POLL_INTERVAL / 5, timeout))
        return code


def _ask(request: Mapping[str, Any]) -> int:
    server = _server()
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    # Whoever loses its parent now becomes a child of this process.
    prctl(_SUBREAPER, 1, 0, 0, 0)
    try:
        cast(IO[bytes], server.stdin).write(json.dumps(request, default=str).encode() + b"\n")
        return int(cast(IO[bytes], server.stdout).readline())
    finally:
        prctl(_SUBREAPER, 0, 0, 0, 0)


@lru_cache(maxsize=1)
def _server() -> subprocess.Popen[bytes]:
    server = subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )
    atexit.register(server.communicate)
    return server


def _serve() -> dict[str, Any] | None:
    """Fork for each request; returns it in the process that was asked for, and None at the end."""
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # nobody has to look through them again
    sys.dont_write_bytecode = False  # else each would compile all modules of ours
    for line in sys.stdin.buffer:
        reading, writing = os.pipe()
        between = os.fork()
        if not between:
            if not (wanted := os.fork()):
                return cast("dict[str, Any]", json.loads(line))
            os.write(writing, b"%d\n" % wanted)
            os._exit(0)
        os.waitpid(between, 0)  # from here on the other is an orphan, and adopted
        os.write(1, os.read(reading, 32))
        os.close(reading)
        os.close(writing)
    return None


def _become(request: Mapping[str, Any]) -> None:
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in enumerate(request["output"], 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
    os.closerange(3, 64)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    for name in [each for each in sys.modules if each.partition(".")[0] in ("fraudapp", "tests")]:
        del sys.modules[name]
    sys.path[0] = request["cwd"]
    package, *arguments = request["arguments"]
    sys.argv[:] = [package, *arguments]  # in place: Faust has it already
    # Not the package itself: in the place of its own Faust has put something without a spec.
    runpy.run_module(f"{package}.__main__", run_name="__main__", alter_sys=True)


if __name__ == "__main__" and (_request := _serve()):
    _become(_request)
