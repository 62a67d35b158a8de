"""The labels that a worker knows: those of all partitions, by transaction id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from math import nan
from pathlib import Path
from typing import Final

from msgspec import msgpack
from rocksdict import WriteBatch

from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.decisions.recent import Unknowable
from fraudapp.kafka.last_records import LastRecord, next_offsets
from fraudapp.labels import metrics
from fraudapp.labels.changes import COUNTED_BYTES, Counted, changes, unpacked
from fraudapp.labels.database import DATABASE_FAILED, Database, DatabaseDamaged
from fraudapp.labels.follower import LabelledFollower
from fraudapp.labels.records import LabelledRecord
from fraudapp.settings import Settings
from models.labels.records import Labelled, decode
from models.schema.schema import Schema

_FILES: Final = 100
# No transaction id holds a control character, so this key cannot be one.
_LAST: Final = b"\x00last"
_decode_last: Final = msgpack.Decoder(dict[int, LastRecord]).decode


class KnownStore(Database):
    """The newest labelled decision of each id, and the next offset of each partition."""

    def __init__(self, folder: Path, schema: Schema, made_of: LogIdentity) -> None:
        """Raises what opening a `Database` does."""
        self._schema = schema
        super().__init__(folder, [made_of], files=_FILES)

    def _load(self) -> None:
        (packed,) = self._get([_LAST])
        self._last = {} if packed is None else _decode_last(packed)

    def next_offset(self, partition: int) -> int:
        """Return the offset of the first record of a partition that is not applied."""
        return next_offsets(self._last).get(partition, 0)

    def last(self) -> Mapping[int, LastRecord]:
        """See `LabelledStore.last`."""
        return self._last

    def get(self, transaction_id: str) -> Labelled | None:
        """Return the newest labelled decision of an id; None if it has no label."""
        with self._errors():
            (value,) = self._get([transaction_id.encode()])
            return None if value is None else decode(value[COUNTED_BYTES:], self._schema)

    def counted(self, transaction_ids: Sequence[str]) -> dict[str, Counted]:
        """Return version and effective label of these ids; an id without a label is left out."""
        with self._errors():
            values = self._get([each.encode() for each in transaction_ids])
            found = zip(transaction_ids, values, strict=True)
            return {id_: unpacked(value) for id_, value in found if value is not None}

    def apply(self, records: Sequence[LabelledRecord], last: Mapping[int, LastRecord]) -> None:
        """See `LabelledStore.apply`."""
        ids = list({each.labelled.transaction_id for each in records})
        batch = WriteBatch(raw_mode=True)
        for change in changes(records, self.counted(ids)):
            labelled = change.record.labelled
            counted = Counted(labelled.version, labelled.label).packed()
            batch.put(labelled.transaction_id.encode(), counted + change.record.encoded)
        now = {**self._last, **last}
        batch.put(_LAST, msgpack.encode(now))
        self._write(batch)
        self._last = now


class KnownLabels(LabelledFollower[KnownStore]):
    """Knows the labels on all decisions, whichever worker has joined them."""

    def __init__(self, settings: Settings) -> None:
        folder, schema = settings.data_dir / "labelled", settings.transaction_schema
        super().__init__(settings, "to know labels", partial(KnownStore, folder, schema))
        metrics.behind.set_function(self._lag)

    def get(self, transaction_id: str) -> Labelled | None:
        """Return a decision with the labels on it; None if none is known here, see `lag`.

        Raises `Unknowable`.
        """
        if self.store is None:
            raise Unknowable("the labels cannot be read on this worker; try again")
        try:
            return self.store.get(transaction_id)
        except DATABASE_FAILED as exc:
            self._met(exc)
            raise Unknowable("the labels cannot be read on this worker; try again") from exc

    def counted(self, transaction_ids: Sequence[str]) -> dict[str, Counted]:
        """Return what is known to count of these ids, which is nothing if that cannot be read."""
        try:
            return self.store.counted(transaction_ids) if self.store else {}
        except DATABASE_FAILED as exc:
            self._met(exc)
            return {}

    def _lag(self) -> float:
        lag = self.lag()
        return nan if lag is None else lag

    def _met(self, exc: Exception) -> None:
        if isinstance(exc, DatabaseDamaged):
            self.repair(exc)
