"""What records of the labelled topic change: for the stores that follow it.

A store keeps what counts of each id beside all else that it keeps, and writes both at once. So it
goes on from its own offsets after a crash, and needs no other store for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from fraudapp.labels.records import LabelledRecord
from models.labels.records import Value

COUNTED_BYTES: Final = 9
_VERSION_BYTES: Final = 8


class Counted(NamedTuple):
    """The version and the effective label that count of one transaction."""

    version: int
    label: Value

    def packed(self) -> bytes:
        """Return it as `COUNTED_BYTES`, for `unpacked`."""
        return self.version.to_bytes(_VERSION_BYTES, "big") + bytes([self.label])


class Change(NamedTuple):
    """A record that counts from now on."""

    record: LabelledRecord
    before: Value | None
    """The effective label until now; None if there was none."""

    @property
    def is_of_label(self) -> bool:
        """Whether the effective label is another one now."""
        return self.before != self.record.labelled.label


def unpacked(packed: bytes) -> Counted:
    """Return what was `packed` into the first bytes; raises `ValueError` for other bytes."""
    label = packed[_VERSION_BYTES] if len(packed) >= COUNTED_BYTES else -1
    if label not in (0, 1):
        raise ValueError("it holds no label")
    return Counted(int.from_bytes(packed[:_VERSION_BYTES], "big"), 1 if label else 0)


def changes(records: Iterable[LabelledRecord], counted: Mapping[str, Counted]) -> list[Change]:
    """Return the records that count when they are read, in their order.

    `counted` are by id; an id that has none is left out. Repeated and older records change nothing.
    """
    now = dict(counted)
    found = []
    for each in records:
        labelled = each.labelled
        before = now.get(labelled.transaction_id)
        if before is None or before.version < labelled.version:
            found.append(Change(each, before.label if before else None))
            now[labelled.transaction_id] = Counted(labelled.version, labelled.label)
    return found
