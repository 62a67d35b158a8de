"""Writes to the control topic, and tells what became of it once it was read back."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from fraudapp.control.archived_models import archived_models
from fraudapp.kafka.producer import BatchProducer, NewRecord
from fraudapp.settings import Settings
from models.control.chain import Candidate
from models.control.records import (
    Approved,
    Archived,
    CapKey,
    Capped,
    Distributed,
    Listed,
    Proposed,
    Published,
    Removed,
    approval,
    cap,
    check_entry,
    distribution,
    entry,
    proposal,
    read,
    removal,
)
from models.control.state import ControlState

MAX_BATCH: Final = 5_000
"""Entries that are written at once."""


class ControlWriter:
    """Writes as one who follows the topic: a worker, or a command that has read it to its end.

    Nothing is checked here by a schema: see `models.policies.reading`. Methods raise `KafkaError`,
    and `InvalidRecord`, before anything is written, for what readers would skip: an author without
    a name, or a note that is too long.
    """

    def __init__(
        self,
        settings: Settings,
        producer: BatchProducer,
        known: ControlState,
        read_to: Callable[[int], Awaitable[None]],
        end: Callable[[], Awaitable[int]],
    ) -> None:
        """`read_to` returns once `known` has all records before an offset; `end` tells the last."""
        self._settings: Final = settings
        self._topic: Final = settings.control_topic
        self._producer = producer
        self._known = known
        self._read_to = read_to
        self._end = end

    async def propose(
        self, text: str, *, author: str, parent: str, note: str = "", needs_approval: bool = False
    ) -> Candidate:
        """Propose a policy in the place of `parent`; return it with its fate."""
        id_ = uuid.uuid4().hex
        proposed = Proposed(
            parent=parent, text=text, author=author, note=note, needs_approval=needs_approval
        )
        await self._write([_check(proposal(id_, proposed))])
        return self._known.chain.candidates[id_]

    async def approve(self, id_: str, *, author: str, note: str = "") -> Candidate | None:
        """Approve a policy that waits for it; return it with its fate, None if there is none.

        It still waits if `author` is its own author.
        """
        await self._write([_check(approval(id_, Approved(author=author, note=note)))])
        return self._known.chain.candidates.get(id_)

    async def distribute(
        self, version: str, model: bytes, card: bytes, *, author: str, note: str = ""
    ) -> bool:
        """Give all workers the files of a model; returns False if they had it already.

        It serves once a policy names it. A large one goes into the archive, again if it is there no
        more. Then this also raises `SinkUnavailable` or `ModelFileError`.
        """
        known = self._known.models.get(version)
        value = known or self._published(model, card, author, note)
        record = _check(distribution(version, value))
        if isinstance(value, Archived):
            async with archived_models(self._settings) as archive:
                await archive.put(version, value, model)
        if known is None:
            await self._write([record])
        return known is None

    def _published(self, model: bytes, card: bytes, author: str, note: str) -> Published:
        is_large = len(model) + len(card) > self._settings.model_record_bytes
        return (Archived if is_large else Distributed).of(model, card, author=author, note=note)

    async def add(self, name: str, values: Iterable[str], listed: Listed) -> int:
        """Add entries to a list; return how many."""
        return await self.change(name, dict.fromkeys(values, listed))

    async def remove(self, name: str, values: Iterable[str], removed: Removed) -> int:
        """Remove entries from a list; return how many were named."""
        return await self.change(name, dict.fromkeys(values, removed))

    async def change(
        self,
        name: str,
        changes: Mapping[str, Listed | Removed],
        written: Callable[[int], Any] = lambda count: None,
    ) -> int:
        """Add and remove entries of a list, in this order; return how many.

        `written` is called with the number of entries of each batch, once it was read back.
        Readers see one entry after the other.
        """
        checked: Listed | None = None
        for value, change in changes.items():
            check_entry(name, value)
            if isinstance(change, Listed) and change is not checked:
                _check(entry(name, value, change))
                checked = change
        return await self._write((_of_list(name, *each) for each in changes.items()), written)

    async def set_caps(self, caps: Mapping[CapKey, Capped]) -> None:
        """Begin and end caps of a policy, in this order."""
        await self._write([_check(cap(*each)) for each in caps.items()])

    async def _write(
        self, records: Iterable[NewRecord], written: Callable[[int], Any] = lambda count: None
    ) -> int:
        count = 0
        left: Iterator[NewRecord] = iter(records)
        while batch := list(islice(left, MAX_BATCH)):
            what = f"writing to topic {self._topic}"
            last = (await self._producer.append(self._topic, 0, batch, what))[-1]
            # A broker that drops a duplicate may not tell its offset; its record is there then.
            await self._read_to(last + 1 if last >= 0 else await self._end())
            count += len(batch)
            written(len(batch))
        return count


def _of_list(name: str, value: str, change: Listed | Removed) -> NewRecord:
    if isinstance(change, Removed):
        return removal(name, value, change)
    return entry(name, value, change)


def _check(record: NewRecord) -> NewRecord:
    """Return a record as it is; raises `InvalidRecord` if readers would skip it."""
    read(0, 0, *record)
    return record
