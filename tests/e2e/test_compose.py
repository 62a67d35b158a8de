"""The services of the compose file, as processes: the quick start, without an engine.

Kafka, Redis and the proxy run with their own configuration from there; commands and environment of
the worker are those of the Dockerfile and the compose file, with host names replaced; what it
consists of is installed from the lock.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from fraudapp.local.postgres import Postgres
from fraudapp.local.processes import HOST, Child, free_port
from tests.deployment.composed import DOCKER, ROOT, instruction, services, settings_of_image
from tests.deployment.environments import environment
from tests.servers.choice import real
from tests.servers.kafka import Kafka
from tests.servers.redis import SystemRedis
from tests.servers.s3proxy import S3Proxy
from tests.support.proxied import proxy

TIMEOUT_SECONDS = 300  # seconds: the machine may be busy

# What is about the container's network and folders, and not about Kafka.
OF_THE_CONTAINER = {
    "KAFKA_NODE_ID",
    "KAFKA_PROCESS_ROLES",
    "KAFKA_LISTENERS",
    "KAFKA_ADVERTISED_LISTENERS",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
    "KAFKA_INTER_BROKER_LISTENER_NAME",
    "KAFKA_CONTROLLER_LISTENER_NAMES",
    "KAFKA_CONTROLLER_QUORUM_VOTERS",
    "KAFKA_LOG_DIRS",
    "KAFKA_HEAP_OPTS",
}


class ComposedRedis(SystemRedis):
    """Redis with the arguments which the compose file gives to Valkey."""

    def command(self) -> Child:
        binary, *arguments = services()["redis"]["command"]
        assert binary == "valkey-server"
        argv = [self._binary or "", *arguments, "--bind", HOST, "--port", str(self.port)]
        return Child(self.name, argv, log=self.log, cwd=self.folder)

    def answers(self) -> bool:
        *client, ping = services()["redis"]["healthcheck"]["test"][2:]
        argv = ["redis-cli", "-p", str(self.port), *client, ping]
        return subprocess.run(argv, check=False, capture_output=True).stdout == b"PONG\n"


class ComposedS3(S3Proxy):
    """An S3 server with the keys of the compose file, and no bucket."""

    key_id = services()["worker"]["environment"]["FRAUD_S3_ACCESS_KEY_ID"]
    secret = services()["worker"]["environment"]["FRAUD_S3_SECRET_ACCESS_KEY"]


def composed_kafka(folder: Path) -> Kafka:
    given: Mapping[str, str] = services()["kafka"]["environment"]
    properties = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in given.items()
        if name.startswith("KAFKA_") and name not in OF_THE_CONTAINER
    }
    return Kafka(folder, properties=properties)


@pytest.fixture
async def database(postgres: Postgres) -> Any:
    """The user and the database which the compose file names, in the server of all tests."""
    given = services()["postgres"]["environment"]
    user, password, name = (given[f"POSTGRES_{each}"] for each in ("USER", "PASSWORD", "DB"))
    connection = await asyncpg.connect(postgres.url.replace("+asyncpg", ""))
    await connection.execute(f"CREATE ROLE \"{user}\" LOGIN PASSWORD '{password}'")
    await connection.execute(f'CREATE DATABASE "{name}" OWNER "{user}"')
    yield
    await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await connection.execute(f'DROP ROLE "{user}"')
    await connection.close()


@pytest.fixture
def hosts(postgres: Postgres, database: None, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The servers, started; where each is instead of where the compose file says."""
    kafka = real(composed_kafka, tmp_path / "kafka")
    redis = real(ComposedRedis, tmp_path / "redis")
    s3 = real(ComposedS3, tmp_path / "s3")
    started = []
    try:
        for server in (kafka, redis, s3):
            server.start()
            started.append(server)
        yield {
            "kafka:19092": f"{HOST}:{kafka.port}",
            "postgres:5432": f"{HOST}:{postgres.port}",
            "redis:6379": f"{HOST}:{redis.port}",
            "s3:8333": f"{HOST}:{s3.port}",
        }
    finally:
        for server in started:
            server.stop()


class Container:
    """A service of our own image as a process."""

    def __init__(self, name: str, hosts: Mapping[str, str], folder: Path) -> None:
        lock = DOCKER / "requirements.lock"
        python = environment(
            "image", ["--require-hashes", "--no-build", "-r", str(lock)], stamp=lock.read_bytes()
        )
        program_folder = folder / "program"
        if not program_folder.exists():
            argv = [sys.executable, "-m", "uv", "--quiet", "pip", "install", "--no-deps"]
            subprocess.run([*argv, "--target", program_folder, ROOT], check=True)
        given = {**settings_of_image(), **services()[name]["environment"]}
        for host, instead in hosts.items():
            given = {setting: text.replace(host, instead) for setting, text in given.items()}
        self.port = free_port()
        self.env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(program_folder),
            **given,
            # Its own network and root are what a container adds.
            "FRAUD_WEB_PORT": str(self.port),
            "FRAUD_WEB_BIND": HOST,
            "FRAUD_DATA_DIR": str(folder / "data"),
        }
        self.python = str(python / "bin" / "python")
        (entry,) = instruction("ENTRYPOINT")
        command = services()[name].get("command") or instruction("CMD")
        self.argv = [self.python, "-m", entry, *command]
        self.folder = folder

    def run(self, argv: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Run the service, or another command in its place, to its end."""
        return subprocess.run(
            argv or self.argv,
            check=False,
            capture_output=True,
            text=True,
            env=self.env,
            cwd=self.folder,
            timeout=TIMEOUT_SECONDS,
        )

    def well(self) -> bool:
        """What the health check of the image says."""
        _, *arguments = instruction("HEALTHCHECK")
        return self.run([self.python, *arguments]).returncode == 0


def quick_start() -> tuple[str, str]:
    """The transaction and the URL of the quick start with Docker, from the README."""
    chapter = (ROOT / "README.md").read_text().partition("docker/compose.yaml up")[2]
    body = re.search(r"echo '(\{.*?\})'", chapter)
    url = re.search(r"curl \"http://localhost:8000(/transaction/.*?)\"", chapter)
    assert body
    assert url
    return body[1], url[1]


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the lock is for the image's Python")
@pytest.mark.timeout(900)
async def test_the_quick_start_decides_its_transaction(
    hosts: dict[str, str], trained_models: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained_models, tmp_path / "data" / "models")
    init = Container("init", hosts, tmp_path)
    for _ in range(2):  # a second time it finds everything, and changes nothing
        done = init.run()
        assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"topics: .*\npostgres: .*\narchive: .*\nmodel: \S+ is active", done.stdout)

    worker = Container("worker", hosts, tmp_path)
    child = Child("worker", worker.argv, log=tmp_path / "worker.log", env=worker.env)
    assert not worker.well()
    child.start()
    try:
        child.wait_until(worker.well, TIMEOUT_SECONDS)
        body, path = quick_start()
        # As kafka-console-producer does: without a key.
        async with AIOKafkaProducer(bootstrap_servers=hosts["kafka:19092"]) as producer:
            await producer.send_and_wait("transactions", body.encode())
        with proxy(worker.port, tmp_path) as url, urllib.request.urlopen(url + path) as answer:
            decision = json.load(answer)
        assert answer.status == 200
        assert decision["transaction_id"] == "demo1"
        assert decision["decision"] in ("APPROVE", "FLAG", "BLOCK")
    finally:
        child.stop()
    assert child.returncode == 0
