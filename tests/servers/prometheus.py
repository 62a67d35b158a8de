"""Prometheus with the project's configuration, asking one worker."""

from __future__ import annotations

import json
import shutil
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from fraudapp.local.probes import http_status
from fraudapp.local.processes import HOST, Child
from fraudapp.local.server import Server
from tests.servers.jars import Missing

CONFIGURATION = Path(__file__).parents[2] / "docker" / "observability"


class Prometheus(Server):
    """`docker/observability/prometheus.yaml`, with `key` in its file and a worker to be found."""

    name = "prometheus"

    def __init__(self, folder: Path, worker_port: int, key: str) -> None:
        super().__init__(folder)
        self._worker_port = worker_port
        self._key = key
        found = shutil.which("prometheus")
        if found is None:
            raise Missing("Prometheus is not installed; on Debian: install `prometheus`")
        self._program = found

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def prepare(self) -> None:
        given = yaml.safe_load((CONFIGURATION / "prometheus.yaml").read_text())
        given["rule_files"] = [str(CONFIGURATION / each) for each in given["rule_files"]]
        given["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        (job,) = given["scrape_configs"]
        # No name server knows the workers here, and no configuration is mounted.
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": [f"{HOST}:{self._worker_port}"]}]
        (self.folder / "key").write_text(f"{self._key}\n")
        job["authorization"]["credentials_file"] = str(self.folder / "key")
        (self.folder / "prometheus.yaml").write_text(yaml.safe_dump(given))

    def command(self) -> Child:
        argv = [self._program, f"--config.file={self.folder / 'prometheus.yaml'}"]
        argv += [f"--storage.tsdb.path={self.folder / 'data'}"]
        argv += [f"--web.listen-address={HOST}:{self.port}"]
        return Child(self.name, argv, log=self.log, cwd=self.folder)

    def answers(self) -> bool:
        return http_status(self.port, "/-/ready") == 200

    def ask(self, path: str, **parameters: str) -> Any:
        """What its HTTP API answers."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["data"]

    def value(self, expression: str) -> float | None:
        """The one number that an expression is now, if it is any."""
        result = self.ask("query", query=expression)["result"]
        return float(result[0]["value"][1]) if result else None
