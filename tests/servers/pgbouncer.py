"""PgBouncer as the system has it, in front of a PostgreSQL."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

from fraudapp.local.postgres import SUPERUSER
from fraudapp.local.processes import HOST, Child
from fraudapp.local.server import Server
from tests.servers.jars import Missing
from tests.servers.postgres import USER


class PgBouncer(Server):
    """Gives its user one database; parameters at the start that it does not know are refused."""

    name = "pgbouncer"
    user = "fraud"
    password = "between-them"

    def __init__(
        self,
        folder: Path,
        postgres_port: int,
        database: str,
        *,
        pool_mode: str,
        pool_size: int,
    ) -> None:
        """Use the database of the server at `postgres_port`, with so many connections to it."""
        program = find_program()
        if program is None:
            raise Missing("PgBouncer is not installed; on Debian: install `pgbouncer`")
        super().__init__(folder)
        self._program = program
        self.pool_mode = pool_mode
        self._database = database
        upstream = f"host={HOST} port={postgres_port} user={SUPERUSER} dbname={database}"
        self._configuration = (
            f"[databases]\n{database} = {upstream} pool_mode={pool_mode} pool_size={pool_size}\n"
            f"[pgbouncer]\nlisten_addr = {HOST}\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = scram-sha-256\nauth_file = {self.folder / 'users'}\n"
        )

    @property
    def url(self) -> str:
        """URL of the database, through it."""
        return self.url_for(self.password)

    def url_for(self, password: str, database: str | None = None) -> str:
        """The same with another password, or of another database."""
        name = database or self._database
        return f"postgresql+asyncpg://{self.user}:{password}@{HOST}:{self.port}/{name}"

    def prepare(self) -> None:
        (self.folder / "users").write_text(f'"{self.user}" "{self.password}"\n')
        (self.folder / "pgbouncer.ini").write_text(self._configuration)

    def command(self) -> Child:
        argv = [self._program, str(self.folder / "pgbouncer.ini")]
        user = USER if os.geteuid() == 0 else None  # it refuses to run as root
        return Child(self.name, argv, log=self.log, cwd=Path("/"), user=user)

    def answers(self) -> bool:
        try:
            socket.create_connection((HOST, self.port), timeout=1).close()
        except OSError:
            return False
        return True


def find_program() -> str | None:
    """Path of PgBouncer, which Debian has where only root looks; None if it is not installed."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
