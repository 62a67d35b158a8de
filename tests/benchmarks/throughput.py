"""Events a second of one contender on a topic that is full, in a namespace of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

import psutil

from fraudapp.local.probes import http_status
from fraudapp.local.processes import Child, ProcessError
from tests.benchmarks.contenders import Contender
from tests.benchmarks.stack import Namespace, Stack, namespace
from tests.benchmarks.watch import Log, Rate, Sinks, measure

ROOT: Final = Path(__file__).parents[2]


def rate_of(
    stack: Stack,
    contender: Contender,
    *,
    topic: str,
    count: int,
    partitions: int,
    seconds: float,
    models: Path | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Rate:
    """Let a contender work off the first `count` events of a topic, for `seconds` at most.

    `models` are others than the stack's, `settings` go beside those of the namespace.

    Raises `ProcessError` with the end of its log if it ends, `watch.Stalled` if it never begins.
    """
    with namespace(stack, topic, partitions) as own:
        own.models = models or own.models
        own.environment |= {
            **settings,
            "BENCH_STORES": str(int(contender.sinks)),
            "BENCH_COUNT": str(count),
            "BENCH_PROGRESS": str(own.folder / "progress"),
        }
        with process(own, contender) as started:
            return measure(
                *observers(own, contender, partitions),
                count=count,
                limit=min(seconds, contender.seconds),
                alive=started.expect_alive,
            )


class Started(NamedTuple):
    """A contender's process."""

    child: Child
    port: int
    """Of its web server, if it has one."""

    def expect_alive(self) -> None:
        """Raise `ProcessError` with the end of its log if it has ended."""
        if not self.child.running:
            raise ProcessError(
                f"{self.child.name} ended with {self.child.returncode}{self.child.tail()}"
            )

    def ready(self) -> bool:
        """Whether our worker is ready."""
        self.expect_alive()
        return http_status(self.port, "/readyz") == HTTPStatus.OK


@contextmanager
def process(own: Namespace, contender: Contender, number: int = 0) -> Iterator[Started]:
    """Start a contender's process; it is killed at the end, for there is nothing to lose."""
    environment = own.with_data_folder(number)
    child = Child(
        contender.name,
        contender.argv,
        log=own.folder / f"{number}.log",
        env=environment,
        cwd=ROOT,
    )
    child.start()
    try:
        yield Started(child, int(environment["FRAUD_WEB_PORT"]))
    finally:
        child.kill()


def observers(
    own: Namespace, contender: Contender, partitions: int
) -> tuple[Callable[[], int], Callable[[], int], Callable[[], int]]:
    """How many events are done: at a glance, as far as counts, and beyond doubt; see `measure`."""
    if contender.watched == "log":
        decided = Log(own, partitions).decided
        return decided, decided, decided
    if contender.watched == "file":
        path = Path(own.environment["BENCH_PROGRESS"])

        def told() -> int:
            return int(path.read_text()) if path.exists() else 0

        return told, told, told
    sinks = Sinks(own)
    if contender.watched == "redis":
        return sinks.in_redis, sinks.in_redis, sinks.in_redis
    return sinks.in_redis, sinks.in_each, sinks.lines_in_s3


def resident(child: Child) -> float:
    """MiB of memory that a process holds now."""
    return float(psutil.Process(child.pid).memory_info().rss) / 2**20


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """Return after how many seconds a condition held; raises `TimeoutError` naming it."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > seconds:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)
    return time.monotonic() - begin
