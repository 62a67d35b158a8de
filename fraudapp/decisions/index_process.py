"""A process that reads one partition of the decision log into its index; `ReadAhead` starts it.

It finds its `Work` at its standard input, and ends early, with what it has read, once that input
ends. If its worker is killed, so is it, where the system can do that. It writes the next offset of
the index in lines to its standard output, which nothing else here may write to: one that can do
nothing more tells nothing more, and one that waits for the broker goes on telling.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import sys
import threading
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

from aiokafka.errors import KafkaError

from fraudapp.decisions.index import DecisionIndex
from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.decisions.reader import LogReader
from fraudapp.kafka.client_log import limit_repeated_messages
from fraudapp.process import logs, parent, tuning
from fraudapp.retry import retry_forever
from fraudapp.settings import Settings

log = logging.getLogger(__name__)

TELL_SECONDS: Final = 0.5
"""Seconds between two lines."""
END_SECONDS: Final = 5.0
"""Seconds after the end of the input in which what was read is written to disk."""


class Work(NamedTuple):
    """What is to be read."""

    settings: dict[str, Any]
    """Those of the worker."""
    folder: Path
    """Of the index, which nobody else may have open."""
    identity: LogIdentity
    end: int
    log_level: int
    worker: int
    """Its process id."""


async def read(work: Work, settings: Settings, told: TextIO) -> None:
    """Read the partition up to the end; raises what the index raises."""
    partition, reader = work.identity.partition, LogReader(settings)
    index = DecisionIndex(
        work.folder, work.identity, schema=settings.transaction_schema, in_bulk=True
    )
    telling = asyncio.create_task(_tell(index, told))
    try:
        async for attempt in retry_forever("connecting to read the log", KafkaError):
            with attempt:
                await reader.start()
        async for attempt in retry_forever("reading the log", KafkaError):
            with attempt:
                end = await reader.end(partition)
                if not await reader.still_has(partition, index.known, index.fingerprint, end):
                    return  # the worker sees it too, and makes the index anew
                async for records in reader.read(partition, index.known, work.end):
                    index.apply(records, records[-1].offset + 1)
    finally:
        telling.cancel()
        index.close()
        await reader.stop()


async def _tell(index: DecisionIndex, told: TextIO) -> None:
    while True:
        told.write(f"{index.next_offset}\n")
        told.flush()
        await asyncio.sleep(TELL_SECONDS)


async def _read_until_told(work: Work, settings: Settings, told: TextIO) -> None:
    reading = asyncio.ensure_future(read(work, settings, told))
    loop = asyncio.get_running_loop()

    def wait_for_end() -> None:
        while os.read(sys.stdin.fileno(), 1):  # no lock of Python's is held at the exit
            pass
        loop.call_soon_threadsafe(reading.cancel)
        threading.Event().wait(END_SECONDS)
        os._exit(1)

    threading.Thread(target=wait_for_end, daemon=True).start()
    await reading


def main() -> int:
    """Do the work; returns the exit status."""
    parent.die_with_it()
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever is printed, by whomever
    work: Work = pickle.load(sys.stdin.buffer)  # noqa: S301 - our worker has written it
    logging.basicConfig(level=work.log_level)
    if os.getppid() != work.worker:  # it was killed before it could end us with it
        return 1
    try:
        settings = Settings.model_validate(work.settings)
        logs.set_up(logging.getLogger(), settings.log_format)
        limit_repeated_messages()
        tuning.tune()
        tuning.relax_collector()
        asyncio.run(_read_until_told(work, settings, told))
    except asyncio.CancelledError:
        return 1
    except Exception as exc:  # whatever it is, the worker reads what is left
        log.warning("partition %d is not read ahead: %r", work.identity.partition, exc)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
