"""What this worker has folded: profiles in memory and on disk, and how far the topics are read.

All of it changes between two awaits, so that profiles and offsets always belong together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from fraudapp.kafka.last_records import LastRecord, digest_of
from fraudapp.labels.changes import Counted, changes
from fraudapp.labels.database import DatabaseDamaged
from fraudapp.labels.records import LabelledRecord
from fraudapp.profiles.due_labels import DueLabels
from fraudapp.profiles.repeated import Repeated
from fraudapp.profiles.store import KeptLabel, ProfileStore, State
from fraudapp.profiles.sweep import Sweep
from models.deciding import Profiled
from models.profiles.events import Events
from models.profiles.memory import ProfileMemory
from models.profiles.remembering import Remembering
from models.records import Decision, Transaction

MANY_LABELS: Final = 500
"""Labels that are taken in without a pause: some milliseconds."""
MANY: Final = 4_000
"""Profiles that differ from those on disk, from which on they are written."""


class Folded:
    """Profiles and offsets; every method raises `DatabaseDamaged`, and `DiskFull` if it writes."""

    def __init__(
        self, remembering: Remembering, store: ProfileStore, *, label_delay: float
    ) -> None:
        """`label_delay` is that of `models.profiles.labels.due`."""
        self._label_delay = label_delay
        self._remembering = remembering
        self.store = store
        self.life = 0
        """How often the profiles have gone back to what is on disk, or to another state."""
        self._sweep = Sweep(remembering, store)
        self._flight = 0
        self._begin()

    def _begin(self) -> None:
        self.life += 1
        state = self.store.state
        self.decisions = dict(state.decisions)
        """Next offset of each partition of the log."""
        self.labelled = dict(state.labelled)
        """Next offset of each partition of the labelled topic, to read from after a crash."""
        self.last_decisions = dict(state.last_decisions)
        """The last record of each partition of the log that was read, or settled."""
        self.last_labelled = dict(state.last_labelled)
        """The last record of each partition of the labelled topic that was read."""
        self.due = DueLabels(self._label_delay)
        self._labels: dict[str, KeptLabel] = {}  # those that are not on disk yet
        self._repeated: dict[int, Repeated] = {}
        self._memory = ProfileMemory(self._remembering, self.store.get)
        self._flight += 1
        self._written = True

    @property
    def is_large(self) -> bool:
        """Whether so much differs from the disk that it is to be written now."""
        return len(self._memory.changed) + len(self._labels) >= MANY

    def read(self, transactions: Sequence[Transaction], second: int) -> tuple[Profiled, Events]:
        """Return what is known of the accounts of transactions, which are in flight from now on."""
        if self.due.is_due(second):
            self.apply_due(second)
        events = self._remembering.events(transactions, second).taking_off(self._flight)
        try:
            values = self._memory.read(events)
        except ValueError as exc:
            raise DatabaseDamaged(self.store.folder, exc) from exc
        return Profiled(self._remembering.known_of(values)), events

    def settle(self, partition: int, start: int, events: Events, last: bytes) -> bool:
        """Take in decisions that are in the log from `start` on, and are in flight no longer.

        `last` is the JSON of the last of them.
        Returns False if the log was read up to another offset; it is to be read then.
        """
        if self.decisions.get(partition, 0) != start:
            self.release(events)
            return False
        try:
            self._memory.apply(events)
        except ValueError as exc:
            raise DatabaseDamaged(self.store.folder, exc) from exc
        finally:
            self.release(events)
        self.decisions[partition] = end = start + len(events)
        self.last_decisions[partition] = LastRecord(end - 1, digest_of(last))
        self._written = False
        return True

    def release(self, events: Events) -> None:
        """Let transactions be in flight no longer: they are not in the log, or are read from it."""
        if events.flight == self._flight:
            self._memory.release(events)

    def land(self) -> None:
        """Let nothing be in flight: what of it gets into the log is seen once it is there."""
        self._memory.land()
        self._flight += 1

    def repeated(self, partition: int) -> Repeated:
        """Return what tells repeated decisions of a partition that is read from the log."""
        return self._repeated.setdefault(partition, Repeated())

    def apply(self, partition: int, decisions: Sequence[Decision], end: int) -> None:
        """Take in decisions of the log, up to the offset `end`; repeated ones change nothing."""
        new = self.repeated(partition).new(decisions)
        seconds = [int(each.decided_at.timestamp()) for each in new]
        events = self._remembering.events([each.transaction for each in new], seconds)
        try:
            self._memory.apply(events)
        except ValueError as exc:
            raise DatabaseDamaged(self.store.folder, exc) from exc
        self.decisions[partition] = end
        self._written = False

    def next_labelled(self, partition: int) -> int:
        """Return up to where a partition of the labelled topic was read."""
        return max(self.labelled.get(partition, 0), self.due.next_offset(partition))

    def add_labels(
        self, records: Sequence[LabelledRecord], next_offsets: Mapping[int, int]
    ) -> None:
        """Note labelled decisions, of each partition in their order, for their time."""
        self.due.add(records, next_offsets)
        self._written = False

    def apply_due(self, second: float) -> None:
        """Take in labels that decisions of a second see; the rest of many with the next call."""
        self._apply_labels(self.due.take(second, MANY_LABELS))

    def _apply_labels(self, records: Sequence[LabelledRecord]) -> None:
        ids = list({each.labelled.transaction_id for each in records})
        known = self.store.counted([each for each in ids if each not in self._labels])
        known |= {id_: self._labels[id_].counted for id_ in ids if id_ in self._labels}
        found = changes(records, known)
        moved = [each for each in found if each.record.labelled.label != (each.before or 0)]
        decisions: list[Any] = [each.record.labelled.decision for each in moved]
        events = self._remembering.events(
            [each.transaction for each in decisions],
            [int(each.decided_at.timestamp()) for each in decisions],
        )
        try:
            self._memory.add_frauds(
                events, [each.record.labelled.label - (each.before or 0) for each in moved]
            )
        except ValueError as exc:
            raise DatabaseDamaged(self.store.folder, exc) from exc
        for each in found:
            labelled = each.record.labelled
            counted = Counted(labelled.version, labelled.label)
            second = int(labelled.decision.decided_at.timestamp())
            self._labels[labelled.transaction_id] = KeptLabel(counted, second)
        self._written = False

    def write(self) -> None:
        """Write all that differs from the disk; if that fails, nothing has changed."""
        if self._written:
            return
        self.labelled |= self.due.next_offsets()
        state = State(
            self.store.state.profile_version,
            self.decisions.copy(),
            self.labelled.copy(),
            self.last_decisions.copy(),
            self.last_labelled.copy(),
        )
        self.store.write(self._memory.changed, self._labels, state)
        self._memory.changed.clear()
        self._labels.clear()
        self._written = True

    def sweep(self, now: float, at: float) -> None:
        """Remove some of what is in no window any more from the disk; see `Sweep.step`."""
        self._sweep.step(now, at)

    def replace(self, files: Path) -> None:
        """Go on from the files of a snapshot; raises what opening a `Database` does, or `OSError`.

        After an error the profiles have to be cleared.
        """
        self.store.replace(files)
        self._begin()

    def reopen(self) -> None:
        """Go back to what is on disk; raises what opening a `Database` does."""
        self.store.reopen()
        self._begin()

    def close(self) -> None:
        """Close the store, which has all that was written; raises nothing."""
        self.store.close()

    def clear(self) -> None:
        """Begin anew, with nothing; raises what opening a `Database` does."""
        self.store.clear()
        self._begin()
