"""The contract of all sinks, and the errors that a sink may raise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Protocol

from fraudapp.decisions.batch import Batch
from models.errors import NeedsOperator, Rejected, Retryable


class SinkUnavailable(Retryable):
    """A sink cannot take a call now; nothing is lost, and the same call may be made again."""


class AccessDenied(SinkUnavailable, NeedsOperator):
    """The sink refuses the credentials, or its certificate is not trusted.

    The message names the setting to look at. A worker does not start with it. For a worker that
    runs, the sink is down like any other until somebody puts it right.
    """


class DecisionRejected(Rejected):
    """A sink will never take this batch, however often it is saved: it holds a poison row."""


class DecisionSink(Protocol):
    """A place where decisions are kept; saving one twice is harmless.

    Its sink writer is the only caller of `open`, `save` and `close` in a worker.
    """

    name: str
    max_batch: int
    """Decisions that one `save` should have, at most; a larger batch of the log is saved whole."""
    linger: float
    """Seconds that decisions may wait to be saved together; 0 where waiting gains little."""

    async def open(self) -> None:
        """Connect and make ready, or raise `SinkUnavailable`; called again until it succeeds."""

    async def close(self) -> None:
        """Close the connections; harmless if never opened."""

    async def ping(self) -> None:
        """Return if the sink answers now, opened or not; raises `SinkUnavailable` otherwise."""

    async def save(self, batch: Batch) -> None:
        """Save all decisions of a batch.

        A decision that is already kept under its transaction's id stays as it was. Raises
        `SinkUnavailable`, and the same batch may be saved again; or `DecisionRejected`, if the
        batch holds a poison row.
        """

    async def purge(self, before: date, *, dry_run: bool = False) -> int:
        """Delete the decisions of all UTC days before one, with the labels on them.

        Returns how many they were: an archive counts files, the other sinks count decisions and
        labels. A dry run only counts. Raises `SinkUnavailable`; the next call deletes the rest
        then.
        """


class DatedSink(DecisionSink, Protocol):
    """A sink that keeps decisions by the UTC day on which they were made."""

    async def days(self) -> list[date]:
        """Return the days of which it has decisions, in any order; raises `SinkUnavailable`."""


@contextmanager
def unavailable(
    sink: str,
    *failures: type[BaseException],
    refusal: Callable[[BaseException], str | None] = lambda exc: None,
) -> Iterator[None]:
    """Turn the failures of a client library into `SinkUnavailable`, naming the sink.

    `refusal` returns the message of an `AccessDenied` for a failure that no retry helps, and None
    for any other.
    """
    try:
        yield
    except failures as exc:
        if sentence := refusal(exc):
            raise AccessDenied(f"{sink}: {sentence}") from exc
        raise SinkUnavailable(f"{sink}: {type(exc).__name__}: {exc}") from exc
