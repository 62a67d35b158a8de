"""The decision index: a local copy, in RocksDB, of one partition of the decision log.

Deduplication looks transaction ids up in it; the log itself can only be read by offset.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Final, cast

from rocksdict import WriteBatch

from fraudapp.decisions import index_totals
from fraudapp.decisions.batch import Batch
from fraudapp.decisions.fingerprints import Fingerprint, fingerprint_of, unpacked
from fraudapp.decisions.index_options import (
    IN_BULK,
    MERGES,
    MOST_UNMERGED,
    NO_WAL,
    RESTS,
    USUAL,
    WAITING,
    options,
)
from fraudapp.decisions.index_totals import Totals
from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.decisions.log_identity import unpacked as unpacked_identity
from fraudapp.decisions.log_records import LogRecord
from fraudapp.decisions.seen import Seen
from fraudapp.kafka.last_records import digest_of
from fraudapp.process.disk import DiskFull, can_flush
from fraudapp.process.rocks import Damaged, RocksFolder
from models.activity import Activity
from models.quality.cells import DecisionCells
from models.records import Decision
from models.schema.schema import PAYSIM, Schema

log = logging.getLogger(__name__)

# No transaction id holds a control character, so these keys cannot be ids.
_NEXT_OFFSET: Final = b"\x00cursor"
_FINGERPRINT: Final = b"\x00stamp"
_IDENTITY: Final = b"\x00identity"
_OFFSET_BYTES: Final = 8


class IndexDamaged(Damaged):
    """The files of an index cannot be used; the log has all that they held."""

    def __init__(self, index: DecisionIndex, why: object) -> None:
        self.index = index
        super().__init__(f"{index.folder} {self.says(why)}")

    @staticmethod
    def says(why: object) -> str:
        """Return a phrase about the index, of which `why` is the reason."""
        return f"is damaged ({why})"


class IndexOfAnotherLog(IndexDamaged):
    """The index is a copy of another log, and so of no use for this one."""

    @staticmethod
    def says(why: object) -> str:
        """Return a phrase about the index, of which `why` names both logs."""
        return f"is of {why}"


INDEX_FAILED: Final = (IndexDamaged, DiskFull)
"""Errors that any use of an index may raise; the user passes them to `DecisionLog.repair`."""


class DecisionIndex(RocksFolder):
    """The decisions of one partition of the log up to the next offset, by transaction id.

    Of several decisions under one id, the first in the log counts. The others are mistakes, such
    as those of a worker that woke up after its partitions had gone to another worker. So an index
    is a function of the log: all processes that have read up to the same offset agree.

    An index that is damaged when it is opened begins anew, empty. If damage shows later, every
    method that reads or writes raises `IndexDamaged`; only `clear` and `throw_away` work then.
    These methods raise `DiskFull` if the disk cannot be written to; the index is then unchanged.
    """

    next_offset: int
    """Offset of the first record of the log that the index has not applied."""
    fingerprint: Fingerprint | None
    """Fingerprint of the last decision that was applied, whether or not that one counts.

    None if there is none, or if a version without fingerprints wrote the index."""

    def __init__(
        self,
        folder: Path,
        identity: LogIdentity | None = None,
        *,
        files: int = -1,
        schema: Schema = PAYSIM,
        in_bulk: bool = False,
        rests: bool = False,
    ) -> None:
        """Open the index in `folder`, or create an empty one there.

        An index of a log with another `identity` is discarded; None accepts any. RocksDB keeps at
        most so many `files` of data open; -1 means all of them. `in_bulk` is for a process that
        only writes it: writes may block, and take more memory. One that `rests` merges no files
        until `merge`.

        Raises `FolderInUse`, `DiskFull`, or `DiskUnusable` if not even an empty one can be created.
        """
        super().__init__(folder)
        self._identity = identity
        self._schema = schema
        self._files = files
        self._in_bulk = in_bulk
        self._rests = rests
        self.made_anew = False
        """Whether the files in the folder could not be used, and the index began empty."""
        try:
            self._open()
        except IndexDamaged as exc:
            log.warning("%s: it is read from the log again", exc)
            self.clear()
            self.made_anew = True

    @property
    def counts(self) -> Counter[str]:
        """Number of decisions by outcome."""
        return self._totals.counts

    @property
    def activity(self) -> Activity:
        """Rates, scores and latest blocks of the decisions."""
        return self._totals.activity

    @property
    def quality(self) -> DecisionCells:
        """Counts and sums of scores of the decisions, by week, model, policy, outcome and rule."""
        return self._totals.quality

    def _open(self) -> None:
        self._connect(options(self._files))
        try:
            with self._errors():
                how = IN_BULK if self._in_bulk else USUAL
                self._db.set_options(how if self._rests else how | MERGES)
                self._load()
                (packed,) = self._get([_IDENTITY])
                found = None if packed is None else unpacked_identity(packed)
        except DiskFull:
            with suppress(Exception):
                self._db.close()  # so that the next attempt can open it
            raise
        if found and self._identity and not found.is_same(self._identity):
            raise IndexOfAnotherLog(self, f"{found}, and the log is {self._identity}")
        self._seen = Seen() if self._in_bulk and not self.next_offset else None
        self._identified = found is not None and found == self._identity
        self._offset_last_checked = self.next_offset

    def _damaged(self, why: object) -> IndexDamaged:
        return IndexDamaged(self, why)

    def _load(self) -> None:
        next_offset, fingerprint = self._get([_NEXT_OFFSET, _FINGERPRINT])
        self.fingerprint = None if fingerprint is None else unpacked(fingerprint)
        totals = index_totals.loaded(self._get, self._found)
        if (next_offset is None) != (totals is None):
            raise ValueError("a part is missing, or it was written by another version")
        self.next_offset, self._totals = int(next_offset or 0), totals or Totals()
        if totals is None:
            return
        if not 0 <= totals.decided <= self.next_offset:
            raise ValueError(f"{totals.decided} decisions up to offset {self.next_offset}")
        if self.fingerprint and self.fingerprint.offset >= self.next_offset:
            raise ValueError(
                f"a decision at {self.fingerprint.offset}, up to offset {self.next_offset}"
            )

    def _found(self, prefix: bytes) -> dict[bytes, bytes]:
        entries = cast("Iterator[tuple[bytes, bytes]]", self._db.items(from_key=prefix))
        try:
            return dict(takewhile(lambda entry: entry[0].startswith(prefix), entries))
        finally:
            del entries  # an error would keep it, and it keeps the files open

    @property
    def known(self) -> int:
        """The next offset as far as the log can confirm it: that after the last decision.

        `fingerprint` is compared with the record just before it. From there to `next_offset` the
        log held no decision when it was read. It is 0 for an index without decisions.
        """
        if self.fingerprint:
            return self.fingerprint.offset + 1
        return self.next_offset if self.counts else 0

    def holds(self, fingerprint: Fingerprint) -> bool:
        """Whether this decision, at this offset, is the one that counts for its transaction id."""
        with self._errors():
            (value,) = self._get([fingerprint.transaction_id.encode()])
        if value is None:
            return False
        offset = int.from_bytes(value[:_OFFSET_BYTES], "big")
        return (
            offset == fingerprint.offset and digest_of(value[_OFFSET_BYTES:]) == fingerprint.digest
        )

    def find(self, transaction_ids: Sequence[str]) -> dict[str, Decision]:
        """Return the decisions on these ids, by id; an id without a decision is left out."""
        with self._errors():
            values = self._values(transaction_ids)
            return {id_: self._schema.decode(value[_OFFSET_BYTES:]) for id_, value in values}

    def before(self, offset: int, transaction_ids: Iterable[str]) -> set[str]:
        """Return the ids whose decision is in the log before an offset."""
        with self._errors():
            values = self._values(list(transaction_ids)) if offset else []
        return {
            id_ for id_, value in values if int.from_bytes(value[:_OFFSET_BYTES], "big") < offset
        }

    def first(self, records: Sequence[LogRecord]) -> list[Decision]:
        """Return, for each of these applied records, the decision that counts for its id.

        For a record that does not count, this is the earlier decision, even if the log no longer
        has it. So a sink may be given a decision twice, which is harmless.
        """
        with self._errors():
            values = self._get([each.decision.transaction_id.encode() for each in records])
            return [
                record.decision
                if int.from_bytes(value[:_OFFSET_BYTES], "big") == record.offset
                else self._schema.decode(value[_OFFSET_BYTES:])
                for record, value in zip(records, values, strict=True)
                if value is not None
            ]

    def apply(self, records: Iterable[LogRecord], end: int) -> None:
        """Apply the records of the log up to, not including, offset `end`: the next offset then.

        `records` are all decisions from the next offset on, in order. They may begin earlier:
        records before `known` are skipped, and a decision on an id that has one does not count.
        """
        end, known = max(end, self.next_offset), self.known
        first: dict[bytes, LogRecord] = {}
        last: LogRecord | None = None
        for record in records:
            if record.offset >= known:
                first.setdefault(record.decision.transaction_id.encode(), record)
                last = record
        keys = [*first] if self._seen is None else self._seen.perhaps([*first])
        with self._errors():
            for key, value in zip(keys, self._get(keys), strict=True):
                if value is not None:
                    del first[key]
        rows = ((key, each.offset, each.encoded) for key, each in first.items())
        fingerprint = last.fingerprint if last else self.fingerprint
        decisions = [each.decision for each in first.values()]
        self._write(decisions, rows, end, fingerprint)

    def extend(self, batch: Batch) -> None:
        """Apply decisions that are in the log from the next offset on, one after the other.

        The caller has looked their ids up: the index has none of them, and each occurs once. They
        were decided together, see `DecisionCells.add`.
        """
        end = self.next_offset + len(batch.decisions)
        rows = zip(batch.keys, range(self.next_offset, end), batch.encoded, strict=True)
        fingerprint = self.fingerprint
        if batch.decisions:
            last = batch.decisions[-1].transaction_id
            fingerprint = fingerprint_of(end - 1, last, batch.encoded[-1])
        self._write(batch.decisions, rows, end, fingerprint, together=True)

    def cut(self) -> None:
        """Set the next offset back to `known`: the log has lost its end, but no decision.

        Else no append would get the offset that the index expects next.
        """
        self.next_offset = self.known

    def _write(
        self,
        decisions: Sequence[Decision],
        rows: Iterable[tuple[bytes, int, bytes]],
        end: int,
        fingerprint: Fingerprint | None,
        *,
        together: bool = False,
    ) -> None:
        batch = WriteBatch(raw_mode=True)
        for key, offset, encoded in rows:
            batch.put(key, offset.to_bytes(_OFFSET_BYTES, "big") + encoded)
        for key, value in self._totals.add(decisions, self._schema, together=together):
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(_NEXT_OFFSET, b"%d" % end)
        if fingerprint is not None and fingerprint is not self.fingerprint:
            batch.put(_FINGERPRINT, fingerprint.packed())
        if self._identity and not self._identified:
            batch.put(_IDENTITY, self._identity.packed())
        try:
            with self._errors():
                self._db.write(batch, WAITING if self._in_bulk else NO_WAL)
        except DiskFull:
            with self._errors():
                self._totals = index_totals.loaded(self._get, self._found) or Totals()
            raise
        self._identified = True
        self.next_offset, self.fingerprint = end, fingerprint

    def flush_if_idle(self) -> None:
        """Begin to flush the write buffer if nothing was applied since the last call.

        Called every few seconds; it does not wait for the flush. So an idle worker holds no write
        buffers, and has nothing to read again after a crash.
        """
        idle = self.next_offset == self._offset_last_checked
        self._offset_last_checked = self.next_offset
        with self._errors():
            if idle and can_flush(self._db):
                self._db.flush(wait=False)

    def merge(self, *, at_once: bool) -> None:
        """Let files be merged from now on, if it rests; if not `at_once`, once they are many.

        With more of them, RocksDB would refuse all writes until they are merged.
        """
        if not self._rests:
            return
        with self._errors():
            files = int(self._db.property_value("rocksdb.num-files-at-level0") or 0)
            if at_once or files > MOST_UNMERGED:
                self._db.set_options(MERGES)
                self._rests = False

    def close(self) -> None:
        """Flush and close, which blocks until the flush is done. Raises nothing.

        The next start reads from the log again what could not be flushed.
        """
        try:
            if self._in_bulk:
                # Whoever opens it next decides when it is merged.
                self._db.set_options(USUAL | RESTS)
            if self._in_bulk or can_flush(self._db):
                self._db.flush()
            self._db.close()
        except Exception as exc:  # rocksdict raises nothing more precise
            log.warning("%s: not everything was written: %s", self.folder, exc)

    def _values(self, ids: Sequence[str]) -> list[tuple[str, bytes]]:
        values = self._get([id_.encode() for id_ in ids])
        return [(id_, value) for id_, value in zip(ids, values, strict=True) if value is not None]
