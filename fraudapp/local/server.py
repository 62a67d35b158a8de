"""What all servers have in common: a folder, a port, a life."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from fraudapp.local.processes import Child, ProcessError, free_port, port_in_use


class Server(ABC):
    """One server process on 127.0.0.1, which keeps its port and its folder over restarts."""

    name: ClassVar[str]
    start_timeout: ClassVar[float] = 60.0  # seconds until it has to answer

    def __init__(self, folder: Path, port: int | None = None) -> None:
        """Use `folder`, which is made if need be, and `port`, or else any free one."""
        self.folder = folder.resolve()
        self.port = port or free_port()
        self._child: Child | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it is, as the application's settings want it."""

    def prepare(self) -> None:  # noqa: B027 - most need nothing
        """Lay the folder out before a start; called before each."""

    @abstractmethod
    def command(self) -> Child:
        """The process to start."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it serves requests now, found out by making one."""

    @property
    def log(self) -> Path:
        """File with all it has written to its output."""
        return self.folder.with_name(f"{self.folder.name}.log")

    @property
    def child(self) -> Child:
        """The process of the last start."""
        if self._child is None:
            self._child = self.command()
        return self._child

    @property
    def running(self) -> bool:
        """Whether its process lives; true while paused."""
        return self._child is not None and self._child.running

    def start(self) -> None:
        """Start it and return when it answers; raises `ProcessError` with its log otherwise."""
        self.launch()
        self.child.wait_until(self.answers, self.start_timeout)

    def launch(self) -> None:
        """Start it, and do not wait; raises `ProcessError`."""
        if port_in_use(self.port):  # whoever has it would answer in this server's place
            raise ProcessError(f"{self.name} cannot start: port {self.port} is in use")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.prepare()
        self._child = self.command()
        self._child.start()

    def stop(self) -> None:
        """Stop it in good order, by force if it takes too long; harmless if it does not run."""
        if self._child is not None:
            self._child.stop()

    def kill(self) -> None:
        """Crash it."""
        self.child.kill()

    def pause(self) -> None:
        """Freeze it: it accepts connections and answers nothing."""
        self.child.pause()

    def resume(self) -> None:
        """Undo `pause`."""
        self.child.resume()

    def restart(self) -> None:
        """Start it again, stopped before if need be, on the same port and folder."""
        self.stop()
        self.start()

    def revive(self) -> None:
        """Bring it back to life from whatever was done to it; nothing if it runs."""
        if self.running:
            self.resume()
        else:
            self.start()
