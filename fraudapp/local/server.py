"""The interface of an embedded server: it has a folder and a port, and is started and stopped."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from fraudapp.local.processes import Child, ProcessError, free_port, port_in_use


class Server(ABC):
    """One server process on 127.0.0.1, which keeps its port and its folder over restarts."""

    name: ClassVar[str]
    start_timeout: ClassVar[float] = 60.0
    """Seconds after a start within which the server has to answer."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        """Use `folder`, which a start creates if it is missing, and `port`, or else a free one."""
        self.folder = folder.resolve()
        self.port = port or free_port()
        self._child: Child | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """The address of the server, as the settings of the application take it."""

    def prepare(self) -> None:  # noqa: B027 - most servers need nothing
        """Write what the folder needs; called before each start."""

    @abstractmethod
    def command(self) -> Child:
        """Return the process, which is not started yet."""

    @abstractmethod
    def answers(self) -> bool:
        """Return whether the server answers a request now."""

    @property
    def log(self) -> Path:
        """File with all output of the server."""
        return self.folder.with_name(f"{self.folder.name}.log")

    @property
    def child(self) -> Child:
        """The process of the last start."""
        if self._child is None:
            self._child = self.command()
        return self._child

    @property
    def running(self) -> bool:
        """Whether the process lives; true while it is paused."""
        return self._child is not None and self._child.running

    def start(self) -> None:
        """Start the server and block until it answers; raises `ProcessError` with its log."""
        self.launch()
        self.child.wait_until(self.answers, self.start_timeout)

    def launch(self) -> None:
        """Start the server without waiting for it; raises `ProcessError`."""
        if port_in_use(self.port):  # another server would answer the probes
            raise ProcessError(f"{self.name} cannot start: port {self.port} is in use")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.prepare()
        self._child = self.command()
        self._child.start()

    def stop(self) -> None:
        """Stop the server, by force if it takes too long; harmless if it does not run."""
        if self._child is not None:
            self._child.stop()

    def kill(self) -> None:
        """Kill the server, as a crash would."""
        self.child.kill()

    def pause(self) -> None:
        """Freeze the server: it accepts connections and answers nothing."""
        self.child.pause()

    def resume(self) -> None:
        """Undo `pause`."""
        self.child.resume()

    def restart(self) -> None:
        """Stop the server if it runs, and start it on the same port and folder."""
        self.stop()
        self.start()

    def revive(self) -> None:
        """Undo `pause`, `kill` or `stop`; harmless if the server runs."""
        if self.running:
            self.resume()
        else:
            self.start()
