"""Sends the rows of a file to a topic, and tells of those that are not sent."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Final, Generic, TypeVar

import click
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from tqdm import tqdm

from fraudapp.cli.transaction_files import InvalidRow
from fraudapp.kafka.clients import client_options
from fraudapp.settings import Settings
from models.files.lines import shown
from models.files.rows import UnreadableFile

BATCH: Final = 500
"""Records sent before their acknowledgements are awaited, at most."""

T = TypeVar("T")


@dataclass(frozen=True)
class Kind(Generic[T]):
    """What the rows of a file are, and where they go."""

    plural: str
    """The word for them."""
    topic: str
    record: Callable[[T], tuple[bytes, bytes]]
    """Returns key and value of the record of one."""
    again: str
    """What is said of sending one again."""


def send_file(
    settings: Settings,
    kind: Kind[T],
    file: Path,
    found: Iterator[T | InvalidRow],
    *,
    skip_invalid: bool,
    quiet: bool,
    rate: float | None = None,
    limit: int | None = None,
) -> None:
    """Send what was found in a file, with a progress bar unless `quiet`, and tell how many.

    `rate` is in records a second. Raises `ClickException` if the file cannot be read, the broker
    does not take them, there are none, or rows are invalid. Unless `skip_invalid`, nothing is sent
    after the first invalid row; all of them are told.
    """
    rows = _ValidRows(kind, found, skip_invalid)
    sent = 0

    def report(count: int) -> None:
        nonlocal sent
        sent += count
        progress.update(count)

    with tqdm(unit=f" {kind.plural}", disable=quiet, total=limit) as progress:
        try:
            asyncio.run(_send(settings, kind, islice(rows, limit), rate, report))
            rows.count_the_rest()
        except UnreadableFile as exc:
            raise click.ClickException(f"{exc}\n{sent} {kind.plural} were sent") from exc
        except (KafkaError, OSError) as exc:
            raise click.ClickException(
                f"the broker at FRAUD_BROKER_URL={settings.broker_url} does not accept them: "
                f"{exc!r}; {sent} {kind.plural} were sent ({kind.again})"
            ) from exc
    if rows.invalid or rows.unsent:
        raise click.ClickException(rows.summary(sent))
    if not sent:
        raise click.ClickException(f"{shown(file)} holds no {kind.plural}")
    click.echo(f"{sent} {kind.plural} sent")


class _ValidRows(Generic[T]):
    """The valid rows of a file; invalid ones are reported and counted.

    Without `skip_invalid`, the rows end before the first invalid one.
    """

    def __init__(self, kind: Kind[T], rows: Iterator[T | InvalidRow], skip_invalid: bool) -> None:
        self.invalid = self.unsent = 0
        self._kind = kind
        self._rows = rows
        self._skip_invalid = skip_invalid

    def __iter__(self) -> Iterator[T]:
        for row in self._rows:
            if not isinstance(row, InvalidRow):
                yield row
                continue
            self._report(row)
            if not self._skip_invalid:
                return

    def count_the_rest(self) -> None:
        """Report and count the rows after an invalid one at which sending has ended."""
        if self.invalid and not self._skip_invalid:
            for row in self._rows:
                if isinstance(row, InvalidRow):
                    self._report(row)
                else:
                    self.unsent += 1

    def summary(self, sent: int) -> str:
        """Return how many rows were sent and how many were not."""
        text = f"{sent} {self._kind.plural} were sent; {self.invalid} rows are invalid and were not"
        if self.unsent:
            text += f", nor were {self.unsent} valid ones after the first of them"
        text += f"; correct them and send the file again ({self._kind.again})"
        return text if self._skip_invalid else f"{text}, or use --skip-invalid"

    def _report(self, row: InvalidRow) -> None:
        self.invalid += 1
        tqdm.write(f"not sent: {row}", file=sys.stderr)


async def _send(
    settings: Settings,
    kind: Kind[T],
    rows: Iterator[T],
    rate: float | None,
    report: Callable[[int], None],
) -> None:
    batch_size = min(BATCH, max(1, int(rate / 10))) if rate else BATCH
    # Read before the broker is asked, so that an unreadable file is reported first.
    batch = list(islice(rows, batch_size))
    producer = AIOKafkaProducer(
        **client_options(settings),
        max_request_size=settings.max_message_bytes,
        linger_ms=5,
    )
    try:
        await producer.start()
        started, count = monotonic(), 0
        while batch:
            records = map(kind.record, batch)
            sent = [await producer.send(kind.topic, value, key=key) for key, value in records]
            await asyncio.gather(*sent)
            count += len(batch)
            report(len(batch))
            if rate:
                seconds_ahead = count / rate - (monotonic() - started)
                await asyncio.sleep(max(0.0, seconds_ahead))
            batch = list(islice(rows, batch_size))
    finally:
        await producer.stop()
