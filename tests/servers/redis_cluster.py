"""A cluster of Redis, of processes of their own."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import redis

from fraudapp.local.processes import HOST, POLL_INTERVAL, Child, ProcessError, free_port
from tests.servers.jars import Missing
from tests.servers.redis import SystemRedis

SLOTS = 16_384


class Node(SystemRedis):
    """One server, in a cluster or on its own; `options` are those of its configuration."""

    def __init__(self, folder: Path, **options: str) -> None:
        super().__init__(folder)
        self._more = options

    def command(self) -> Child:
        argv = [str(self._binary), "--bind", HOST, "--port", str(self.port), "--save", ""]
        for name, value in self._more.items():
            argv += [f"--{name.replace('_', '-')}", value]
        return Child(self.name, argv, log=self.log, cwd=self.folder)

    def ask(self, *command: str) -> object:
        """Answer of a command, as it is."""
        with redis.Redis(host=HOST, port=self.port, decode_responses=True) as client:
            client.response_callbacks.clear()
            return client.execute_command(*command)


class RedisCluster:
    """Three primaries with a replica each, which take over from one that is away for a second."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("redis-cli") is None:
            raise Missing("redis-cli is not installed; on Debian: install `redis-tools`")
        options = {"cluster_enabled": "yes", "cluster_node_timeout": "1000"}
        self.nodes = [
            Node(folder / str(number), **options, cluster_port=str(free_port()))
            for number in range(6)
        ]

    @property
    def url(self) -> str:
        """URL of one of its nodes."""
        return self.nodes[0].url

    def start(self) -> None:
        """Start it and return when every slot is served."""
        for node in self.nodes:
            node.start()
        addresses = [f"{HOST}:{node.port}" for node in self.nodes]
        argv = ["redis-cli", "--cluster", "create", *addresses]
        argv += ["--cluster-replicas", "1", "--cluster-yes"]
        done = subprocess.run(argv, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise ProcessError(f"no cluster: {done.stdout}{done.stderr}")
        self.until(lambda: all("cluster_state:ok" in self.info(node) for node in self.nodes))
        # A replica that has never been in step takes nothing over.
        self.until(lambda: all(self._in_step(node) for node in self.nodes))

    def stop(self) -> None:
        """Stop all nodes."""
        for node in self.nodes:
            node.stop()

    def primaries(self) -> dict[str, Node]:
        """Those that serve slots now, by their id."""
        rows = [row.split() for row in str(self._living().ask("CLUSTER", "NODES")).splitlines()]
        ports = {
            int(row[1].split("@")[0].rpartition(":")[2]): row[0]
            for row in rows
            if "master" in row[2] and "fail" not in row[2].replace("fail?", "") and len(row) > 8
        }
        return {ports[node.port]: node for node in self.nodes if node.port in ports}

    def move(self, slot: int, to: str) -> None:
        """Move a slot with all its keys to a primary, while it is used."""
        primaries = self.primaries()
        source = self._owner(slot)
        if source == to:
            return
        begin, end = primaries[source], primaries[to]
        end.ask("CLUSTER", "SETSLOT", str(slot), "IMPORTING", source)
        begin.ask("CLUSTER", "SETSLOT", str(slot), "MIGRATING", to)
        while True:
            keys = begin.ask("CLUSTER", "GETKEYSINSLOT", str(slot), "10")
            assert isinstance(keys, list)
            if not keys:
                break
            begin.ask("MIGRATE", HOST, str(end.port), "", "0", "5000", "KEYS", *keys)
        for node in (end, begin):
            node.ask("CLUSTER", "SETSLOT", str(slot), "NODE", to)

    def _owner(self, slot: int) -> str:
        rows = self._living().ask("CLUSTER", "SLOTS")
        assert isinstance(rows, list)
        return next(str(row[2][2]) for row in rows if row[0] <= slot <= row[1])

    def _living(self) -> Node:
        return next(node for node in self.nodes if node.running)

    @staticmethod
    def info(node: Node) -> str:
        """What a node says of the cluster."""
        return str(node.ask("CLUSTER", "INFO"))

    @staticmethod
    def _in_step(node: Node) -> bool:
        told = str(node.ask("INFO", "replication"))
        return "role:master" in told or "master_link_status:up" in told

    @staticmethod
    def until(check: Callable[[], bool], timeout: float = 60.0) -> None:
        """Return once it is true."""
        deadline = time.monotonic() + timeout
        while not check():
            if time.monotonic() > deadline:
                raise ProcessError("the cluster is not ready")
            time.sleep(POLL_INTERVAL)
