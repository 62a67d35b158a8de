"""What was decided in one partition, by transaction id: a local copy of the decision log."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, cast

from msgspec import json, msgpack
from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompactionStyle,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
    WriteOptions,
)

from fraudapp.decisions.batch import Batch, decode
from fraudapp.decisions.fingerprints import Fingerprint, digest_of, fingerprint_of, unpacked
from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.decisions.log_identity import unpacked as unpacked_identity
from fraudapp.decisions.log_records import LogRecord
from fraudapp.process.disk import IN_USE, DiskFull, DiskUnusable, discard, in_use, is_full
from models.activity import Activity, by_outcome
from models.errors import NeedsOperator, Retryable
from models.records import Decision

log = logging.getLogger(__name__)

# No transaction id holds a control character, so these keys are no ids.
_CURSOR: Final = b"\x00cursor"
_COUNTS: Final = b"\x00counts"
_ACTIVITY: Final = b"\x00activity"
_FINGERPRINT: Final = b"\x00stamp"
_IDENTITY: Final = b"\x00identity"
_OFFSET_BYTES: Final = 8
# No write-ahead log of RocksDB's: the decision log is one. After a crash, what was not on disk yet
# (some megabytes; a batch is there as a whole or not at all) is read from it again.
_UNLOGGED: Final = WriteOptions()
_UNLOGGED.disable_wal = True  # type: ignore[assignment, method-assign]
# RocksDB would hold up the whole event loop until its disk has room, or has caught up.
_UNLOGGED.no_slowdown = True
# Of all indexes of a worker together: what is looked for is mostly new, and not in there.
_CACHE: Final = Cache(8 << 20)
# Files of a level, above which a flush waits for them to be merged, at twenty; see `_can_flush`.
_UNMERGED: Final = 16
_decode_counts: Final = json.Decoder(dict[str, int]).decode
_decode_activity: Final = msgpack.Decoder(Activity).decode


class IndexInUse(NeedsOperator):
    """Another process has this folder open; each worker needs its own."""


class IndexDamaged(Retryable):
    """What is on disk of an index cannot be used; all of it is in the log as well."""

    def __init__(self, index: DecisionIndex, why: object) -> None:
        self.index = index
        super().__init__(f"{index.folder} {self.says(why)}")

    @staticmethod
    def says(why: object) -> str:
        """What is the matter with it."""
        return f"is damaged ({why})"


class IndexOfAnotherLog(IndexDamaged):
    """It is the copy of another log, which tells nothing of this one."""

    @staticmethod
    def says(why: object) -> str:
        """Of which."""
        return f"is of {why}"


INDEX_FAILED: Final = (IndexDamaged, DiskFull)
"""What any use of an index may raise; `DecisionLog.failed` sees to it."""


class DecisionIndex:
    """The decisions of one partition up to a position in the log.

    Of several decisions under one id the first in the log is the one that counts; whoever wrote the
    others was mistaken, such as a worker that woke up after its partitions had gone to another.
    So an index is a function of the log, and every process that has read as far agrees with it.

    What is damaged when it is opened is thrown away. Damage that shows later is raised, as
    `IndexDamaged`, by every method that reads or writes; nothing but `throw_away` is of use then.
    They raise `DiskFull` if the disk takes nothing now; then nothing has changed.
    """

    next_offset: int
    """Offset in the log up to which this is a copy: of the first record that is not in it."""
    fingerprint: Fingerprint | None
    """The last decision of the log that was taken in; None if there is none, or if a version wrote
    it that had no fingerprints."""
    counts: Counter[str]
    """Decisions by outcome."""
    activity: Activity
    """Rates, scores and latest blocks."""

    def __init__(
        self, folder: Path, identity: LogIdentity | None = None, *, files: int = -1
    ) -> None:
        """`identity` is that of the log; None where it does not matter.

        At most so many `files` of data are kept open; -1: all of them.

        Raises `IndexInUse`, `DiskFull`, and `DiskUnusable` if not even an empty one can be made.
        """
        self.folder = folder
        self._identity = identity
        self._files = files
        self.made_anew = False
        """Whether what was there had to be thrown away."""
        try:
            self._open()
        except IndexDamaged as exc:
            log.warning("%s: it is read from the log again", exc)
            self.clear()
            self.made_anew = True

    def _open(self) -> None:
        try:
            self._db = Rdict(str(self.folder), _options(self._files))
        except Exception as exc:  # rocksdict raises nothing more precise
            if is_full(exc):
                raise DiskFull(self.folder, exc) from exc
            if in_use(self.folder):
                raise IndexInUse(IN_USE.format(self.folder)) from exc
            raise IndexDamaged(self, exc) from exc
        try:
            with self._sound():
                self._load(self._get([_CURSOR, _COUNTS, _ACTIVITY, _FINGERPRINT]))
                (known,) = self._get([_IDENTITY])
                found = None if known is None else unpacked_identity(known)
        except DiskFull:
            with suppress(Exception):
                self._db.close()  # to be opened again
            raise
        if found and self._identity and not found.is_same(self._identity):
            raise IndexOfAnotherLog(self, f"{found}, and the log is {self._identity}")
        self._identified = found is not None and found == self._identity
        self._looked_at = self.next_offset

    def _load(self, values: Sequence[bytes | None]) -> None:
        next_offset, counts, activity, fingerprint = values
        self.fingerprint = None if fingerprint is None else unpacked(fingerprint)
        if next_offset is None and counts is None and activity is None:
            self.next_offset = 0
            self._load_totals(None, None)
            return
        if next_offset is None or counts is None or activity is None:
            raise ValueError("a part is missing, or it was written by another version")
        self.next_offset = int(next_offset)
        self._load_totals(counts, activity)
        if not 0 <= sum(self.counts.values()) <= self.next_offset:
            raise ValueError(
                f"{sum(self.counts.values())} decisions up to offset {self.next_offset}"
            )
        if self.fingerprint and self.fingerprint.offset >= self.next_offset:
            raise ValueError(
                f"a decision at {self.fingerprint.offset}, up to offset {self.next_offset}"
            )

    def _load_totals(self, counts: bytes | None, activity: bytes | None) -> None:
        self._totals = counts, activity
        self.counts = Counter() if counts is None else Counter(_decode_counts(counts))
        self.activity = Activity() if activity is None else _decode_activity(activity)

    @property
    def known(self) -> int:
        """Offset up to which the log was read, as far as the log can be asked whether it was.

        Between it and the next offset there was no decision.
        """
        if self.fingerprint:
            return self.fingerprint.offset + 1
        return self.next_offset if self.counts else 0

    def holds(self, fingerprint: Fingerprint) -> bool:
        """Whether this decision, at this offset, is the one that counts for its id."""
        with self._sound():
            (value,) = self._get([fingerprint.transaction_id.encode()])
        if value is None:
            return False
        offset = int.from_bytes(value[:_OFFSET_BYTES], "big")
        return (
            offset == fingerprint.offset and digest_of(value[_OFFSET_BYTES:]) == fingerprint.digest
        )

    def find(self, transaction_ids: Sequence[str]) -> dict[str, Decision]:
        """Return the decisions there are for these ids, by id."""
        with self._sound():
            values = self._values(transaction_ids)
            return {id_: decode(value[_OFFSET_BYTES:]) for id_, value in values}

    def before(self, offset: int, transaction_ids: Iterable[str]) -> set[str]:
        """Return those ids of which the decision is in the log before an offset."""
        with self._sound():
            values = self._values(list(transaction_ids)) if offset else []
        return {
            id_ for id_, value in values if int.from_bytes(value[:_OFFSET_BYTES], "big") < offset
        }

    def first(self, records: Sequence[LogRecord]) -> list[Decision]:
        """Return the decisions that count for the ids of the records, which were applied.

        Whether or not the log still has them where they were first: of a record that does not
        count, the one before it is returned again, which does no harm.
        """
        with self._sound():
            values = self._get([each.decision.transaction_id.encode() for each in records])
            return [
                record.decision
                if int.from_bytes(value[:_OFFSET_BYTES], "big") == record.offset
                else decode(value[_OFFSET_BYTES:])
                for record, value in zip(records, values, strict=True)
                if value is not None
            ]

    def apply(self, records: Iterable[LogRecord], end: int) -> None:
        """Take in the records of the log up to, not including, offset `end`.

        All of those from `known` or the next offset on; what is known already is left out.
        """
        end, known = max(end, self.next_offset), self.known
        first: dict[str, LogRecord] = {}
        last: LogRecord | None = None
        for record in records:
            if record.offset >= known:
                first.setdefault(record.decision.transaction_id, record)
                last = record
        with self._sound():
            for id_, _ in self._values(list(first)):
                del first[id_]
        rows = ((id_.encode(), each.offset, each.encoded) for id_, each in first.items())
        fingerprint = last.fingerprint if last else self.fingerprint
        self._write([each.decision for each in first.values()], rows, end, fingerprint)

    def extend(self, batch: Batch) -> None:
        """Take in decisions on new ids, each once, that are in the log from the next offset on."""
        end = self.next_offset + len(batch.decisions)
        rows = zip(batch.keys, range(self.next_offset, end), batch.encoded, strict=True)
        fingerprint = self.fingerprint
        if batch.decisions:
            last = batch.decisions[-1].transaction_id
            fingerprint = fingerprint_of(end - 1, last, batch.encoded[-1])
        self._write(batch.decisions, rows, end, fingerprint)

    def cut(self) -> None:
        """Take the next offset back to what is `known`: the log has lost what came after it."""
        self.next_offset = self.known

    def _write(
        self,
        decisions: Sequence[Decision],
        rows: Iterable[tuple[bytes, int, bytes]],
        end: int,
        fingerprint: Fingerprint | None,
    ) -> None:
        self.counts.update(by_outcome(self.activity.add(decisions)))
        batch = WriteBatch(raw_mode=True)
        for key, offset, encoded in rows:
            batch.put(key, offset.to_bytes(_OFFSET_BYTES, "big") + encoded)
        totals = json.encode(self.counts), msgpack.encode(self.activity)
        batch.put(_COUNTS, totals[0])
        batch.put(_ACTIVITY, totals[1])
        batch.put(_CURSOR, b"%d" % end)
        if fingerprint is not None and fingerprint is not self.fingerprint:
            batch.put(_FINGERPRINT, fingerprint.packed())
        if self._identity and not self._identified:
            batch.put(_IDENTITY, self._identity.packed())
        try:
            with self._sound():
                self._db.write(batch, _UNLOGGED)
        except DiskFull:
            self._load_totals(*self._totals)
            raise
        self._identified = True
        self.next_offset, self.fingerprint, self._totals = end, fingerprint, totals

    def flush_if_idle(self) -> None:
        """Begin to write what is only in memory to disk, if nothing came since the last call.

        To be called every few seconds. So a worker at rest holds no write buffers, and has nothing
        to read again after a crash.
        """
        resting, self._looked_at = self.next_offset == self._looked_at, self.next_offset
        with self._sound():
            if resting and self._can_flush():
                self._db.flush(wait=False)

    def _can_flush(self) -> bool:
        """Whether there is something to flush, and RocksDB would not wait before it does.

        It would until an older buffer is on disk, and while there are many files to be merged.
        """
        held = self._db.property_int_value("rocksdb.num-entries-active-mem-table")
        writing = self._db.property_int_value("rocksdb.num-immutable-mem-table")
        files = int(self._db.property_value("rocksdb.num-files-at-level0") or 0)
        return bool(held) and not writing and files < _UNMERGED

    def clear(self) -> None:
        """Forget everything; to be read from the log again. Raises `DiskUnusable`."""
        self.throw_away()
        try:
            self._open()
        except IndexDamaged as exc:
            raise DiskUnusable(
                f"{exc}, and it was empty: the disk at FRAUD_DATA_DIR is full or bad"
            ) from exc

    def throw_away(self) -> None:
        """Remove what is on disk; this one is of no use from then on. Raises `DiskUnusable`."""
        with suppress(Exception):  # that of a damaged one cannot write what it should
            self._db.close()
        discard(self.folder)

    def close(self) -> None:
        """Close the files. What cannot be written any more is read from the log again."""
        try:
            if self._can_flush():
                self._db.flush()
            self._db.close()
        except Exception as exc:  # rocksdict raises nothing more precise
            log.warning("%s: not everything was written: %s", self.folder, exc)

    @contextmanager
    def _sound(self) -> Iterator[None]:
        try:
            yield
        except Exception as exc:  # rocksdict raises nothing more precise
            if is_full(exc):
                raise DiskFull(self.folder, exc) from exc
            raise IndexDamaged(self, exc) from exc

    def _values(self, ids: Sequence[str]) -> list[tuple[str, bytes]]:
        values = self._get([id_.encode() for id_ in ids])
        return [(id_, value) for id_, value in zip(ids, values, strict=True) if value is not None]

    def _get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return cast("list[bytes | None]", self._db.get(list(keys))) if keys else []


def _options(files: int) -> Options:
    table = BlockBasedOptions()
    table.set_bloom_filter(10, False)  # most ids that are looked for are new
    table.set_block_cache(_CACHE)
    # The index is held in memory, besides the filter: 1.3 MB for each million ids with both, where
    # the defaults take 4 MB, and are no quicker.
    table.set_block_size(32 << 10)
    table.set_index_block_restart_interval(16)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_max_open_files(files)
    # Two of them a partition. With 8 MB four partitions held 20 MB more, for .2 us less an event.
    options.set_write_buffer_size(4 << 20)
    options.set_block_based_table_factory(table)
    # Ids come once and are read seldom: what counts is how often they are written again.
    options.set_compaction_style(DBCompactionStyle.universal())
    # Most that is flushed is soon merged into something larger: only what stays is compressed.
    options.set_compression_type(DBCompressionType.none())
    options.set_bottommost_compression_type(DBCompressionType.lz4())
    return options
