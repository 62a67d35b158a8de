"""The control topic, as commands see it: read to its end, then written to if need be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, Final, TypeVar

import click
from aiokafka.errors import KafkaError, KafkaTimeoutError

from fraudapp.control.reader import ControlReader, reading
from fraudapp.control.writer import ControlWriter
from fraudapp.kafka.clients import started_consumer
from fraudapp.kafka.producer import BatchProducer, NewRecord
from fraudapp.kafka.topics import ensure
from fraudapp.operation import reason_of
from fraudapp.settings import Settings
from models.control.chain import Candidate
from models.control.records import ControlRecord, InvalidRecord
from models.control.state import ControlState
from models.errors import NeedsOperator

TOO_LATE: Final = 3
"""Exit code of a change that something else was quicker than; nothing has come of it."""

T = TypeVar("T")
Take = Callable[[ControlRecord], Any]


class TooLate(click.ClickException):
    """Something else is in force than the change was made for."""

    exit_code = TOO_LATE


class Control:
    """What the topic says, as far as it was read."""

    def __init__(self, settings: Settings, reader: ControlReader) -> None:
        self.settings: Final = settings
        self.known: Final = ControlState()
        self._reader = reader

    @property
    def head(self) -> Candidate | None:
        """The policy in force, by the chain; None if thresholds of the settings are."""
        members = self.known.chain.members
        return members[-1] if members else None

    async def read_to(self, offset: int) -> None:
        """Read all records before an offset; raises `KafkaError`, if none come for too long."""
        await self._read_to(offset, lambda record: None)

    async def _read_to(self, offset: int, also: Take) -> None:
        patience = max(1.0, self.settings.start_timeout)
        deadline = monotonic() + patience
        while self._reader.next_offset < offset:
            reached = self._reader.next_offset
            records = await self._reader.more()
            if self._reader.next_offset > reached:
                deadline = monotonic() + patience
            elif monotonic() > deadline:
                raise KafkaTimeoutError(f"no records of {self.settings.control_topic} came")
            for record in records:
                self.known.apply(record)
                also(record)

    async def read_to_end(self, also: Take) -> None:
        """Read what is there now, and call `also` with each record; raises `KafkaError`."""
        end = await self._reader.end()
        await self._read_to(end, lambda record: record.offset < end and also(record))

    @asynccontextmanager
    async def writer(self) -> AsyncIterator[ControlWriter]:
        """Connect a writer for the body of `async with`."""
        producer = _ImpatientProducer(self.settings)
        try:
            await producer.start()
            yield ControlWriter(self.settings, producer, self.known, self.read_to, self._reader.end)
        finally:
            await producer.stop()


@asynccontextmanager
async def opened(
    settings: Settings, also: Take = lambda record: None, *, for_writing: bool = False
) -> AsyncIterator[Control]:
    """Read the control topic to its end, for the body of `async with`.

    `also` is called with each record that is there, after it was taken in. If there is no topic, it
    is made, with the others, `for_writing` only. Raises `KafkaError`, or one of `NeedsOperator`.
    """
    if not await _is_there(settings):
        if not for_writing:
            raise NeedsOperator(
                f"there is no topic {settings.control_topic} at FRAUD_BROKER_URL="
                f"{settings.broker_url}: `fraudapp init` makes it, and so does the first worker"
            )
        await ensure(settings)
    async with reading(settings) as reader:
        control = Control(settings, reader)
        await control.read_to_end(also)
        yield control


def run(settings: Settings, action: Coroutine[Any, Any, T], *, unsure: str = "") -> T:
    """Return the result of `action`; say in a sentence what the broker has refused.

    `unsure` says what to look at where it is not known what was written.
    """
    try:
        return asyncio.run(action)
    except NeedsOperator as exc:
        raise click.ClickException(str(exc)) from exc
    except InvalidRecord as exc:
        raise click.UsageError(str(exc)) from exc
    except (KafkaError, OSError) as exc:
        raise click.ClickException(
            f"the broker at FRAUD_BROKER_URL={settings.broker_url} fails: {reason_of(exc)}"
            + (f"; {unsure}" if unsure else "")
        ) from exc


async def _is_there(settings: Settings) -> bool:
    # Some brokers make a topic when they are asked for it by its name, and not as it has to be.
    async with started_consumer(settings) as consumer:
        return settings.control_topic in await consumer.topics()


class _ImpatientProducer(BatchProducer):
    """A producer that gives up, since somebody waits for the command to end."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._seconds = max(1.0, settings.start_timeout)

    async def append(
        self,
        topic: str,
        partition: int,
        records: Iterable[NewRecord],
        what: str,
        *,
        divide: bool = False,
    ) -> list[int]:
        """See `BatchProducer.append`; raises `KafkaError` after `start_timeout` seconds."""
        appending: Awaitable[list[int]] = super().append(
            topic, partition, records, what, divide=divide
        )
        task = asyncio.ensure_future(appending)
        await asyncio.wait([task], timeout=self._seconds)
        if task.done():
            return task.result()
        why = "; ".join(each.trouble() or "" for each in self._operations)
        task.cancel()
        await asyncio.wait([task])
        raise KafkaTimeoutError(why or f"{what}: no answer for {self._seconds:g} s")
