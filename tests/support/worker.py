"""A whole worker process, as a user starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from email.message import Message
from pathlib import Path
from typing import Any

from fraudapp.local.processes import Child
from tests.support import forking

START_TIMEOUT = 90.0  # seconds; includes training where there is no model


class Worker:
    """`faust -A fraudapp.app worker` with an environment of its own."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.environment = dict(environment)
        self.log = folder / f"worker-{self.environment['FRAUD_WEB_PORT']}.log"
        self.url = f"http://127.0.0.1:{self.environment['FRAUD_WEB_PORT']}"
        self.data_dir = Path(self.environment["FRAUD_DATA_DIR"])
        self.code: Path | None = None
        """Folder of another version of the program that is to be started; None for this one."""
        self.child = self._child()

    def start(self) -> None:
        """Start it, and return when it is ready."""
        self.launch()
        self.child.wait_until(lambda: self.get("/readyz")[0] == 200, START_TIMEOUT)

    def launch(self) -> None:
        """Start it."""
        self.child = self._child()
        self.child.start()

    def kill(self) -> None:
        """Crash it."""
        self.child.kill()

    def terminate(self, timeout: float = 30.0) -> int | None:
        """Ask it to stop, and return its exit code; None if it did not stop in time."""
        os.kill(self.child.pid, signal.SIGTERM)
        return self.child.returncode if self.child.wait(timeout) else None

    def get(self, path: str, timeout: float = 40.0) -> tuple[int, Any]:
        """Status and JSON of an answer; status 0 if there is none."""
        return self.request("GET", path, timeout=timeout)

    def text(self, path: str, **headers: str) -> tuple[int, str, Message]:
        """Status, body and headers of an answer to GET, whatever it is."""
        request = urllib.request.Request(self.url + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=40.0) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, exc.read().decode(), exc.headers

    def post(self, path: str, body: bytes) -> tuple[int, Any]:
        """The same, of a POST."""
        return self.request("POST", path, body)

    def request(
        self, method: str, path: str, body: bytes | None = None, *, timeout: float = 40.0
    ) -> tuple[int, Any]:
        """The same, of any method."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, _json(answer.read())
        except urllib.error.HTTPError as exc:
            with exc:
                problem = exc.headers["Content-Type"] == "application/problem+json"
                return exc.code, _json(exc.read()) if problem else None
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return 0, None

    def stats(self) -> dict[str, Any]:
        """What `/stats` answers."""
        status, counts = self.get("/stats")
        assert status == 200
        return dict(counts)

    def run(self, *arguments: str, program: Iterable[str] = ("-m", "fraudapp")) -> str:
        """Output of a command beside this worker; raises if it fails."""
        done = run([*program, *arguments], self.environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _child(self) -> Child:
        argv = [sys.executable, "-m", "faust", "-A", "fraudapp.app", "worker", "-l", "info"]
        if self.code:  # Python looks there first
            return Child("worker", argv, log=self.log, env=self.environment, cwd=self.code)
        return forking.ForkedChild("worker", argv, log=self.log, env=self.environment)


def run(
    arguments: Iterable[str], environment: Mapping[str, str], cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments to its end."""
    return forking.run([sys.executable, *arguments], environment, cwd, timeout=120.0)


def _json(body: bytes) -> Any:
    return json.loads(body) if body else None
