"""Redis as the system has it."""

from __future__ import annotations

import shutil
from pathlib import Path

from fraudapp.local.redis import Redis
from tests.servers.jars import Missing


class SystemRedis(Redis):
    """`redis-server` from the PATH; with `appendonly` it keeps its data over a restart."""

    def __init__(self, folder: Path, port: int | None = None, *, appendonly: bool = False) -> None:
        binary = shutil.which("redis-server")
        if binary is None:
            raise Missing("Redis is not installed; on Debian: install `redis-server`")
        super().__init__(folder, port, binary=binary, appendonly=appendonly)
