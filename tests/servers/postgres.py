"""PostgreSQL as the system has it, with a cluster of our own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from fraudapp.local.postgres import SUPERUSER, Postgres
from fraudapp.local.processes import ProcessError
from tests.servers.jars import Missing

USER = "postgres"


class SystemPostgres(Postgres):
    """A cluster that may lose data if the machine (not the server) crashes, for speed."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        programs = find_programs()
        user = _user()
        super().__init__(folder, port, programs=programs, user=user, options={"fsync": "off"})

    def prepare(self) -> None:
        if (self.folder / "PG_VERSION").exists():
            return
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        argv = [str(self._programs / "initdb"), "--no-sync", "--auth=trust", "--encoding=UTF8"]
        argv += ["--no-locale", f"--username={SUPERUSER}", f"--pgdata={self.folder}"]
        done = subprocess.run(
            argv, check=False, capture_output=True, text=True, user=self._user, cwd="/"
        )
        if done.returncode != 0:
            raise ProcessError(f"initdb failed: {done.stdout}{done.stderr}")


def find_programs() -> Path:
    """Folder of the newest PostgreSQL installed; or `Missing`."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=_version)
    on_path = shutil.which("postgres")
    if not debian and on_path is None:
        raise Missing("PostgreSQL is not installed; on Debian: install `postgresql`")
    return (debian[-1] if debian else Path(str(on_path))).parent


def _version(program: Path) -> float:
    return float(program.parts[4])


def _user() -> str | None:
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(USER)
    except KeyError as exc:
        raise Missing(
            f"PostgreSQL does not run as root, and there is no user `{USER}` to run it"
        ) from exc
    return USER
