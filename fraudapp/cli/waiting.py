"""Waits until all that decides has what a command has changed, and tells who does not."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import click
from aiokafka.errors import KafkaError

from fraudapp.control.acknowledged import Acknowledgements, Covers
from fraudapp.operation import reason_of
from fraudapp.settings import Settings
from models.characters import legible
from models.control.versions import Version

UNACKNOWLEDGED: Final = 4
"""Exit code of a change that was made, and that the owner of some partition does not have yet."""


class Unacknowledged(click.ClickException):
    """A change was made, and it is not known that all who decide have it."""

    exit_code = UNACKNOWLEDGED


class Waiting:
    """Waits for the owners of all partitions, from the moment at which it was made on."""

    def __init__(self, seconds: float, acknowledgements: Acknowledgements | None) -> None:
        """Without acknowledgements it does not wait."""
        self._seconds = seconds
        self._acknowledgements = acknowledgements
        self._began = time.monotonic()

    def begin(self) -> None:
        """Count the time from now on: the change is written next."""
        self._began = time.monotonic()

    async def until(self, what: str, covers: Covers) -> None:
        """Print once all have `what` (`version 5 is`); raises `Unacknowledged`."""
        told = self._acknowledgements
        if told is None:
            return
        try:
            everywhere = await told.until(covers, self._seconds)
        except (KafkaError, OSError) as exc:
            raise Unacknowledged(
                f"the change is made, and nobody knows which workers have it: {reason_of(exc)}"
            ) from exc
        after = time.monotonic() - self._began
        if not everywhere:
            raise Unacknowledged(
                f"after {after:.2f} s, not all that decides has it:\n" + _laggards(told, covers)
            )
        workers = len({each.worker for each in told.latest.values()})
        click.echo(
            f"{what} in force on all {len(told.partitions)} partitions, of {workers} "
            f"worker{'s' if workers != 1 else ''}, after {after:.2f} s"
        )


@asynccontextmanager
async def waiting(settings: Settings, seconds: float | None) -> AsyncIterator[Waiting]:
    """Read the latest heartbeats before a change, so that the answer comes quickly after it.

    `seconds` is how long to wait; None not to wait. Raises `KafkaError`.
    """
    if seconds is None:
        yield Waiting(0.0, None)
        return
    acknowledgements = Acknowledgements(settings)
    try:
        await acknowledgements.start()
        yield Waiting(seconds, acknowledgements)
    finally:
        with suppress(KafkaError):
            await acknowledgements.stop()


def covers_number(number: int) -> Covers:
    """Return what is true of versions of a policy, and of those that came after it."""
    return lambda version: version is not None and version.number >= number


def covers_offset(number: int, next_offset: int) -> Covers:
    """Return what is true of versions with the lists up to an offset of the control log.

    `number` is that of the policy in force there: who has a later one has read further.
    """

    def covers(version: Version | None) -> bool:
        return version is not None and (version.offset >= next_offset or version.number > number)

    return covers


def _laggards(told: Acknowledgements, covers: Covers) -> str:
    lines = []
    for partition in told.missing(covers):
        reported = told.latest.get(partition)
        if reported is None:
            lines.append(f"partition {partition}: no worker has ever reported that it owns it")
        else:
            lines.append(
                f"partition {partition}: worker {legible(reported.worker)} reports version "
                f"{legible(reported.policy_version)}, {max(0.0, time.time() - reported.at):.1f} s "
                "ago"
            )
    return "\n".join(lines)
