"""The indexes that a worker has open, and what has become of those that were damaged."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from math import inf
from pathlib import Path
from time import monotonic
from typing import Final

from fraudapp.decisions.index import DecisionIndex, IndexDamaged
from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.process import open_files
from fraudapp.process.disk import DiskFull, DiskUnusable, discard
from fraudapp.settings import Settings

log = logging.getLogger(__name__)

FRESH: Final = 60.0
"""Seconds after an index was rebuilt in which further damage means that its disk is bad."""


class OpenIndexes:
    """The index of each partition that is open here.

    A damaged one is thrown away, and rebuilt once: if it is damaged again soon after, its partition
    cannot be opened any more.
    """

    def __init__(self, settings: Settings) -> None:
        self._folder: Path = settings.data_dir / "ledger"
        self._files = open_files.of_index(settings.topic_partitions)
        self._schema = settings.transaction_schema
        self._indexes: dict[int, DecisionIndex] = {}
        self._former_next_offsets: dict[int, int] = {}  # of damaged ones
        self._fresh_until: dict[int, float] = {}  # of rebuilt ones
        self._unusable: dict[int, DiskUnusable] = {}

    def __iter__(self) -> Iterator[DecisionIndex]:
        """Return those that are open now."""
        return iter([*self._indexes.values()])

    def __getitem__(self, partition: int) -> DecisionIndex:
        """Return the index of a partition, which is open."""
        return self._indexes[partition]

    def get(self, partition: int) -> DecisionIndex | None:
        """Return the index of a partition; None if it is not open."""
        return self._indexes.get(partition)

    @property
    def next_offsets(self) -> dict[int, int]:
        """The next offset of each that is open."""
        return {partition: each.next_offset for partition, each in self._indexes.items()}

    @property
    def former_next_offsets(self) -> dict[int, int]:
        """The furthest next offset of each that was damaged."""
        return self._former_next_offsets

    def make_folder(self) -> None:
        """Make the folder of all indexes; raises `DiskUnusable`."""
        if not self._folder.is_dir():
            discard(self._folder)
            self._folder.mkdir(parents=True)

    def open(self, identity: LogIdentity, *, rests: bool) -> DecisionIndex:
        """Open the index of a partition; one that `rests` merges no files for now.

        Raises what `DecisionIndex` raises, and `DiskUnusable` after damage to a fresh one.
        """
        partition = identity.partition
        if partition in self._unusable:
            raise self._unusable[partition]
        index = self._indexes[partition] = DecisionIndex(
            self._folder / f"partition-{partition}",
            identity,
            files=self._files,
            schema=self._schema,
            rests=rests,
        )
        if index.made_anew:
            self._fresh_until[partition] = inf
        return index

    def close(self, partition: int) -> None:
        """Close the index of a partition if it is open."""
        if index := self._indexes.pop(partition, None):
            index.close()

    def close_all(self) -> None:
        """Close all of them."""
        for partition in [*self._indexes]:
            self.close(partition)

    def caught_up(self, partition: int) -> None:
        """Note that an index has all of the log; a rebuilt one is fresh from now on."""
        if partition in self._fresh_until:
            self._fresh_until[partition] = monotonic() + FRESH

    def met(self, exc: IndexDamaged | DiskFull) -> list[int]:
        """Return the partitions whose index an error is of; a damaged one is thrown away.

        None is returned of an index that is not open any more.
        """
        if isinstance(exc, DiskFull):
            return [p for p, each in self._indexes.items() if each.folder == exc.path]
        found = [p for p, each in self._indexes.items() if each is exc.index]
        for partition in found:
            del self._indexes[partition]
            self._throw_away(partition, exc)
        return found

    def _throw_away(self, partition: int, exc: IndexDamaged) -> None:
        self._former_next_offsets[partition] = max(
            exc.index.next_offset, self._former_next_offsets.get(partition, 0)
        )
        again = monotonic() < self._fresh_until.get(partition, 0.0)
        self._fresh_until[partition] = inf  # until it has caught up
        try:
            exc.index.throw_away()
        except DiskUnusable as unusable:
            self._unusable[partition] = unusable
        if again:
            self._unusable[partition] = DiskUnusable(
                f"{exc}, just after it was made anew: the disk at FRAUD_DATA_DIR is full or bad"
            )
        else:
            log.warning("%s: it is made anew from partition %d of the log", exc, partition)
