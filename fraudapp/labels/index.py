"""The label index: what is known of the labels in one partition of their topic, up to an offset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct, msgpack
from rocksdict import WriteBatch

from fraudapp.kafka.last_records import LastRecord
from fraudapp.labels.database import Database
from models.inputs import Position
from models.labels.joining import Row, Step, Waiting

FILES: Final = 20
"""Files of data that an index keeps open, at most."""
MAX_AWAITED: Final = 20_000
"""Ids in `awaited`; labels that wait for others are found by looking through all that wait."""

# No transaction id holds a control character, so these keys cannot be ids.
_TOTALS: Final = b"\x00totals"
_WAITING: Final = b"\x01"
_ORIGIN: Final = b"\x02"


class _Totals(Struct):
    last: LastRecord | None = None
    waiting: int = 0
    conflicting: int = 0


_decode_row: Final = msgpack.Decoder(Row).decode
_decode_waiting: Final = msgpack.Decoder(Waiting).decode
_decode_totals: Final = msgpack.Decoder(_Totals).decode
_encode: Final = msgpack.Encoder().encode


class LabelIndex(Database):
    """The labels by transaction id, those that wait by offset, and the origins of rerouted ones.

    It is a function of the topic of labels, and of when each decision was found.
    """

    awaited: set[str]
    """Ids of transactions for whose decision labels wait; the first `MAX_AWAITED` of them."""

    def _load(self) -> None:
        (packed,) = self._get([_TOTALS])
        self._totals = _Totals() if packed is None else _decode_totals(packed)
        if min(self._totals.waiting, self._totals.conflicting) < 0:
            raise ValueError(f"its numbers are {self._totals}")
        first = map(_decode_waiting, self._first(_WAITING, MAX_AWAITED))
        self.awaited = {each.transaction_id for each in first}

    @property
    def last(self) -> LastRecord | None:
        """The last record of the topic that is taken in."""
        return self._totals.last

    @property
    def next_offset(self) -> int:
        """Offset of the first record of the topic that is not taken in."""
        return self.last.next_offset if self.last else 0

    @property
    def waiting(self) -> int:
        """Number of labels whose transactions are not decided, as far as is known."""
        return self._totals.waiting

    @property
    def conflicting(self) -> int:
        """Number of transactions on which sources disagree."""
        return self._totals.conflicting

    def settled(self) -> int:
        """Return the offset before which no label waits."""
        first = self.waiting_from(0, 1)
        return first[0].said.offset if first else self.next_offset

    def waiting_from(self, offset: int, count: int) -> list[Waiting]:
        """Return so many labels that wait, from an offset on, at most."""
        with self._errors():
            return [*map(_decode_waiting, self._first(_WAITING, count, _key(offset)))]

    def seen(self, origins: Sequence[Position]) -> set[Position]:
        """Return those origins from which a rerouted label was taken in already."""
        with self._errors():
            values = self._get([_ORIGIN + each.encode() for each in origins])
        return {each for each, value in zip(origins, values, strict=True) if value is not None}

    def step(self, transaction_ids: Iterable[str], wait_ms: int) -> Step:
        """Return the beginning of a step that is about these transactions."""
        ids = list(dict.fromkeys(transaction_ids))
        with self._errors():
            values = self._get([id_.encode() for id_ in ids])
            rows = {
                id_: Row() if value is None else _decode_row(value)
                for id_, value in zip(ids, values, strict=True)
            }
            offsets = [offset for row in rows.values() for offset in row.waiting.values()]
            found = map(_decode_waiting, filter(None, self._get(list(map(_waiting_key, offsets)))))
            waiting = {each.said.offset: each for each in found}
            if missing := set(offsets) - waiting.keys():
                raise ValueError(f"the labels at {sorted(missing)} are missing")
        return Step(rows, waiting, wait_ms)

    def await_decisions(self, step: Step) -> None:
        """Let the ids of labels that begin to wait be `awaited`; called before they are written."""
        for each in step.added.values():
            if len(self.awaited) < MAX_AWAITED:
                self.awaited.add(each.transaction_id)

    def write(
        self, step: Step, last: LastRecord | None = None, origins: Iterable[Position] = ()
    ) -> None:
        """Write what a step has come to, and the last record if there are more, all at once."""
        batch = WriteBatch(raw_mode=True)
        for id_, row in step.rows.items():
            if row.labels or row.waiting:
                batch.put(id_.encode(), _encode(row))
            else:
                batch.delete(id_.encode())
        for offset, each in step.added.items():
            batch.put(_waiting_key(offset), _encode(each))
        for offset in step.removed:
            batch.delete(_waiting_key(offset))
        for origin in origins:
            batch.put(_ORIGIN + origin.encode(), b"")
        totals = _Totals(
            last or self.last,
            self.waiting + len(step.added) - len(step.removed),
            self.conflicting + step.conflicts,
        )
        batch.put(_TOTALS, _encode(totals))
        self._write(batch)
        self._totals = totals
        self.awaited.difference_update(id_ for id_, row in step.rows.items() if not row.waiting)


def _key(offset: int) -> bytes:
    return offset.to_bytes(8, "big")


def _waiting_key(offset: int) -> bytes:
    return _WAITING + _key(offset)
