"""Cells of labels on this worker's disk, made of the labelled topic.

They are written together with the offsets up to which the topic was read, and with what counts of
each id. So after a crash they are those of an earlier offset, from which reading goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import Struct, json
from rocksdict import WriteBatch

from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.decisions.recent import Unknowable
from fraudapp.kafka.last_records import LastRecord, next_offsets
from fraudapp.labels.changes import Counted, changes, unpacked
from fraudapp.labels.database import DATABASE_FAILED, Database, DatabaseDamaged
from fraudapp.labels.follower import LabelledFollower
from fraudapp.labels.records import LabelledRecord
from fraudapp.settings import Settings
from models.quality.labelled import LabelledWeek, about, unit_of
from models.quality.weeks import week_at
from models.schema.schema import Schema

_FILES: Final = 20
_MAX_CELLS: Final = 1 << 20
# No transaction id holds a control character, so these keys cannot be ids.
_STATE: Final = b"\x00state"
_CELLS: Final = b"\x01"
_NUMBER_BYTES: Final = 4
_WEEK_ZERO: Final = 2**31
"""Added to the number of a week, so that keys are in the order of weeks."""
_encode: Final = json.Encoder().encode
"""Of JSON, which takes sums of amounts of any size; MessagePack takes 64 bits."""


class _State(Struct, array_like=True):
    last: dict[int, LastRecord]
    made_for: str
    """What amounts and their currencies were, which a schema may change."""


class _Cells(Struct, array_like=True):
    week: int
    partition: int
    cells: LabelledWeek


_decode_state: Final = json.Decoder(_State).decode
_decode_cells: Final = json.Decoder(_Cells).decode


class _Place(NamedTuple):
    week: int
    partition: int

    def key(self) -> bytes:
        return _CELLS + _week_bytes(self.week) + self.partition.to_bytes(_NUMBER_BYTES, "big")


class LabelledCellsStore(Database):
    """The cells of each week and partition, and the label that counts of each transaction."""

    def __init__(self, folder: Path, schema: Schema, made_of: LogIdentity) -> None:
        """Raises what opening a `Database` does."""
        self._schema = schema
        self._made_for = f"{schema.version} {unit_of(schema)} {schema.currency_field}"
        super().__init__(folder, [made_of], files=_FILES)

    def _load(self) -> None:
        (packed,) = self._get([_STATE])
        self._state = _State({}, self._made_for) if packed is None else _decode_state(packed)
        if self._state.made_for != self._made_for:
            raise ValueError(f"it is of {self._state.made_for}, and amounts are {self._made_for}")

    def next_offset(self, partition: int) -> int:
        """Return the offset of the first record of a partition that is not applied."""
        return next_offsets(self._state.last).get(partition, 0)

    def last(self) -> Mapping[int, LastRecord]:
        """See `LabelledStore.last`."""
        return self._state.last

    def apply(self, records: Sequence[LabelledRecord], last: Mapping[int, LastRecord]) -> None:
        """See `LabelledStore.apply`."""
        batch, changed = WriteBatch(raw_mode=True), dict[_Place, LabelledWeek]()
        with self._errors():
            for record, before in changes(records, self._counted(records)):
                labelled = record.labelled
                counted = Counted(labelled.version, labelled.label)
                batch.put(labelled.transaction_id.encode(), counted.packed())
                moved = about(labelled.decision, self._schema)
                place = _Place(moved.week, record.partition)
                if place not in changed:
                    changed[place] = self._week(place)
                changed[place].move(moved, before, labelled.label)
        for place, week in changed.items():
            batch.put(place.key(), _encode(_Cells(*place, week)))
        now = _State({**self._state.last, **last}, self._made_for)
        batch.put(_STATE, _encode(now))
        self._write(batch)
        self._state = now

    def cells(self, first: int) -> dict[tuple[int, int], LabelledWeek]:
        """Return the cells of the week `first` and of later ones, by week and partition."""
        with self._errors():
            found = map(_decode_cells, self._first(_CELLS, _MAX_CELLS, _week_bytes(first)))
            return {(each.week, each.partition): each.cells for each in found}

    def _counted(self, records: Sequence[LabelledRecord]) -> dict[str, Counted]:
        ids = list({each.labelled.transaction_id for each in records})
        values = self._get([id_.encode() for id_ in ids])
        found = zip(ids, values, strict=True)
        return {id_: unpacked(value) for id_, value in found if value is not None}

    def _week(self, place: _Place) -> LabelledWeek:
        (packed,) = self._get([place.key()])
        return LabelledWeek() if packed is None else _decode_cells(packed).cells


class QualityLabels(LabelledFollower[LabelledCellsStore]):
    """Counts the labels of all partitions on this worker."""

    def __init__(self, settings: Settings) -> None:
        """Return one that has not started; it keeps its cells in `FRAUD_DATA_DIR`."""
        folder, schema = settings.data_dir / "quality", settings.transaction_schema
        super().__init__(settings, "to count them", partial(LabelledCellsStore, folder, schema))

    def cells(self, now: float, weeks: int) -> dict[tuple[int, int], LabelledWeek]:
        """Return the cells of the last weeks as of `now`, by week and partition.

        Raises `Unknowable`.
        """
        unknown = "the cells of labels cannot be read on this worker; try again"
        if self.store is None:
            raise Unknowable(unknown)
        try:
            return self.store.cells(week_at(now) - weeks)
        except DATABASE_FAILED as exc:
            if isinstance(exc, DatabaseDamaged):
                self.repair(exc)
            raise Unknowable(unknown) from exc


def _week_bytes(week: int) -> bytes:
    return (week + _WEEK_ZERO).to_bytes(_NUMBER_BYTES, "big")
