"""What every sink promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Protocol

from fraudapp.decisions.batch import Batch
from models.errors import NeedsOperator, Rejected, Retryable


class SinkUnavailable(Retryable):
    """A sink could not do it now; nothing is lost, and the same call may be made again."""


class AccessDenied(SinkUnavailable, NeedsOperator):
    """The sink will not have us, or we not it; the message names the setting to look at.

    It stops a start. Of a worker that runs, the sink is down like any other until it is put right.
    """


class DecisionRejected(Rejected):
    """A sink will never take this, however often it is asked."""


class DecisionSink(Protocol):
    """A place where decisions are kept; saving one twice is harmless."""

    name: str
    max_batch: int
    """Decisions that are best saved at once, at most."""
    linger: float
    """Seconds that decisions may wait to be saved together; 0 where it makes little difference."""

    async def open(self) -> None:
        """Connect and make ready; raises `SinkUnavailable`. To be called until it does, once."""

    async def close(self) -> None:
        """Let go of connections; harmless if never opened."""

    async def ping(self) -> None:
        """Return if the sink answers now, opened or not; raises `SinkUnavailable` if not."""

    async def save(self, batch: Batch) -> None:
        """Keep all of them, or raise `SinkUnavailable` having lost none, or `DecisionRejected`.

        A decision already kept under its transaction's id stays as it was.
        """

    async def purge(self, before: date, *, dry_run: bool = False) -> int:
        """Delete what was decided on UTC days before this one, and return how much that was.

        In decisions, of an archive in files. A dry run only counts. Raises `SinkUnavailable`;
        what is left then is deleted by the next call.
        """


class DatedSink(DecisionSink, Protocol):
    """A sink that keeps decisions by the UTC day on which they were made."""

    async def days(self) -> list[date]:
        """Return the days it has something of, in any order; raises `SinkUnavailable`."""


@contextmanager
def unavailable(
    sink: str,
    *failures: type[BaseException],
    refusal: Callable[[BaseException], str | None] = lambda exc: None,
) -> Iterator[None]:
    """Turn a client's own failures into `SinkUnavailable`, naming the sink.

    `refusal` returns the sentence of an `AccessDenied` for those which waiting does not help.
    """
    try:
        yield
    except failures as exc:
        if sentence := refusal(exc):
            raise AccessDenied(f"{sink}: {sentence}") from exc
        raise SinkUnavailable(f"{sink}: {type(exc).__name__}: {exc}") from exc
