"""A PostgreSQL server, run with the programs of any installation."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from fraudapp.local.processes import HOST, Child
from fraudapp.local.server import Server

SUPERUSER = "postgres"
"""The superuser of a cluster, and the database of that name which every cluster has."""


class Postgres(Server):
    """A PostgreSQL cluster in a folder; without a password, any user of this machine may use it."""

    name = "postgres"

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        *,
        programs: Path,
        user: str | None = None,
        options: Mapping[str, str] | None = None,
        password: str | None = None,
    ) -> None:
        """As `Server`; `programs` is the folder of `postgres` and `pg_isready`.

        PostgreSQL refuses to run as root, so root has to name the `user` that runs it. `options`
        are run-time parameters, such as `{"fsync": "off"}`.
        """
        super().__init__(folder, port)
        self._programs = programs
        self._user = user
        self._password = password
        self._options = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",  # the path of the folder may be too long for a socket
            **(options or {}),
        }

    @property
    def url(self) -> str:
        """`postgresql+asyncpg://USER:PASSWORD@HOST:PORT/DATABASE`, of the database `SUPERUSER`."""
        return self.url_of(SUPERUSER)

    def url_of(self, database: str) -> str:
        """Return the same for another database."""
        user = f"{SUPERUSER}:{self._password}" if self._password else SUPERUSER
        return f"postgresql+asyncpg://{user}@{HOST}:{self.port}/{database}"

    def command(self) -> Child:
        """See `Server.command`."""
        argv = [str(self._programs / "postgres"), "-D", str(self.folder)]
        for name, value in self._options.items():
            argv += ["-c", f"{name}={value}"]
        return Child(
            self.name,
            argv,
            log=self.log,
            cwd=self.folder,
            user=self._user,
            stop_signal=signal.SIGINT,  # "fast": ends sessions and does not wait for clients
        )

    def answers(self) -> bool:
        """See `Server.answers`."""
        argv = [str(self._programs / "pg_isready"), "-q", "-t", "1", "-h", HOST]
        return subprocess.call([*argv, "-p", str(self.port)]) == 0  # noqa: S603
