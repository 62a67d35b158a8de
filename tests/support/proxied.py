"""The proxy of the compose file, as a process."""

from __future__ import annotations

import os
import urllib.request
from pathlib import Path

from fraudapp.local.processes import HOST, Child, free_port
from tests.deployment.composed import DOCKER, services
from tests.deployment.programs import program


class proxy:  # noqa: N801 - reads as a function
    """HAProxy with the configuration of the compose file, in front of one worker."""

    def __init__(self, worker_port: int, folder: Path) -> None:
        port = free_port()
        text = (DOCKER / "haproxy.cfg").read_text()
        for own, instead in (("bind :8080", port), ("bind :8081", free_port())):
            assert own in text
            text = text.replace(own, f"bind {HOST}:{instead}")
        file = folder / "haproxy.cfg"
        file.write_text(text)
        given = services()["proxy"]["environment"]
        env = {**given, "WORKERS": f"{HOST}:{worker_port}", "PATH": os.environ["PATH"]}
        argv = [program("haproxy"), "-f", str(file)]
        self.child = Child("haproxy", argv, log=folder / "haproxy.log", env=env)
        self.url = f"http://{HOST}:{port}"

    def __enter__(self) -> str:
        self.child.start()
        self.child.wait_until(self.answers, 30)
        return self.url

    def __exit__(self, *exc: object) -> None:
        self.child.stop()

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz") as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
