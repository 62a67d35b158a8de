"""Reads what a decision index lacks in a process of its own, if that is much.

A worker whose disk is empty has the whole log to read. Processes share that out to all processors,
and leave the worker its own for decisions of partitions that are ready. All that they do is also
done without them: whatever they leave is read by the worker itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import sys
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

from fraudapp.decisions.index_process import END_SECONDS, Work
from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.settings import Settings

log = logging.getLogger(__name__)

MANY_RECORDS: Final = 200_000
"""Records from which on a process pays; it takes a second or two to start."""
PATIENCE: Final = 4
"""How many times as much may be left of another partition for one to wait for its turn."""
SILENCE_SECONDS: Final = 60.0
"""Seconds after which a process that has told nothing is ended."""


class ReadAhead:
    """Starts the processes, `FRAUD_INDEX_PROCESSES` at a time at most."""

    def __init__(self, settings: Settings) -> None:
        self.next_offsets: dict[int, int] = {}
        """Next offsets, by partition, of the indexes that processes have open."""
        self._ends: dict[int, int] = {}
        self._settings = settings
        self._turns = asyncio.Semaphore(settings.index_processes)

    @property
    def is_busy(self) -> bool:
        """Whether anything is read, or waits to be read, in a process."""
        return bool(self.next_offsets)

    def pays(self, records: int) -> bool:
        """Whether so many records are to be read in a process, now or in its turn."""
        if self._settings.index_processes == 0 or records < MANY_RECORDS:
            return False
        left = [self._ends[each] - offset for each, offset in self.next_offsets.items()]
        return not self._turns.locked() or min(left, default=0) <= PATIENCE * records

    async def read(
        self,
        folder: Path,
        identity: LogIdentity,
        start: int,
        end: int,
        *,
        begun: Callable[[], None],
    ) -> None:
        """Read a partition from offset `start` to `end` into the index in a folder.

        Nobody else may have the index open. `begun` is called when it is this partition's turn.
        Returns once the process has ended, whether or not it has read all; when cancelled as well.
        """
        work = Work(
            self._settings.model_dump(by_alias=True),
            folder,
            identity,
            end,
            logging.getLogger().level,
            os.getpid(),
        )
        self.next_offsets[identity.partition], self._ends[identity.partition] = start, end
        try:
            async with self._turns:
                begun()
                await self._run(work)
        finally:
            del self.next_offsets[identity.partition], self._ends[identity.partition]

    async def _run(self, work: Work) -> None:
        partition = work.identity.partition
        try:
            given = pickle.dumps(work)
            # It is no part of our group: its input tells it to end, or that we have ended.
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "fraudapp.decisions.index_process"),
                stdin=PIPE,
                stdout=PIPE,
                start_new_session=True,
            )
        except (OSError, pickle.PicklingError) as exc:
            log.warning("no process can be started to read the log: %s", exc)
            return
        to_it, of_it = cast(StreamWriter, process.stdin), cast(StreamReader, process.stdout)
        try:
            to_it.write(given)
            while line := await asyncio.wait_for(of_it.readline(), SILENCE_SECONDS):
                self.next_offsets[partition] = int(line)
        except (asyncio.TimeoutError, ConnectionError, ValueError) as exc:
            log.warning(
                "the process that reads partition %d of the log is ended, for it tells nothing: %r",
                *(partition, exc),
            )
            kill(process)
        finally:
            await _whatever_comes(_ended(process, to_it))
        if process.returncode:
            log.warning(
                "the process that read partition %d of the log ended with status %d: the worker "
                "reads what it has left",
                *(partition, process.returncode),
            )


async def _ended(process: Process, to_it: StreamWriter) -> None:
    """Return once a process that is to end has ended; then nobody has its index open."""
    to_it.close()
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(process.wait(), 2 * END_SECONDS)
        return
    kill(process)
    await process.wait()


def kill(process: Process) -> None:
    """Kill a process, which may have ended meanwhile."""
    with suppress(ProcessLookupError):
        process.kill()


async def _whatever_comes(awaited: Coroutine[Any, Any, None]) -> None:
    """Await to the end, however often it is cancelled meanwhile; then be cancelled."""
    task, cancelled = asyncio.ensure_future(awaited), None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as exc:
            cancelled = exc
    if cancelled:
        raise cancelled
