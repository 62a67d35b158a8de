"""What a decision index counts of all its decisions, as entries that are written with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from msgspec import json, msgpack

from fraudapp.decisions import quality_cells
from models.activity import Activity, by_outcome
from models.quality.cells import DecisionCells
from models.records import Decision
from models.schema.schema import Schema

# No transaction id holds a control character, so these keys cannot be ids.
_COUNTS: Final = b"\x00counts"
_ACTIVITY: Final = b"\x00activity"
_decode_counts: Final = json.Decoder(dict[str, int]).decode
_decode_activity: Final = msgpack.Decoder(Activity).decode


class Totals:
    """A function of the decisions that were added: of none at first."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.activity = Activity()
        self.quality = DecisionCells()

    @property
    def decided(self) -> int:
        """Number of decisions."""
        return sum(self.counts.values())

    def add(
        self, decisions: Sequence[Decision], schema: Schema, *, together: bool = False
    ) -> Iterator[tuple[bytes, bytes | None]]:
        """Add decisions, and yield the keys that change with their new values; None deletes a key.

        All of it has to be iterated over. `together` is as in `DecisionCells.add`.
        """
        changes = self.quality.add(decisions, together=together)
        self.counts.update(by_outcome(self.activity.add(decisions, schema)))
        yield from quality_cells.entries(self.quality, changes)
        yield _COUNTS, json.encode(self.counts)
        yield _ACTIVITY, msgpack.encode(self.activity)


def loaded(
    get: Callable[[Sequence[bytes]], Sequence[bytes | None]],
    with_prefix: Callable[[bytes], dict[bytes, bytes]],
) -> Totals | None:
    """Return the totals whose entries were written; None if there are none.

    `get` returns the values of keys, and `with_prefix` all entries under a prefix. Raises
    `ValueError`, `KeyError`, or an error of msgspec, for entries that do not fit together.
    """
    counts, activity, weeks = get([_COUNTS, _ACTIVITY, quality_cells.KEY])
    if counts is None and activity is None:
        return None
    if counts is None or activity is None:
        raise ValueError("a part is missing, or it was written by another version")
    totals = Totals()
    totals.counts.update(_decode_counts(counts))
    totals.activity = _decode_activity(activity)
    totals.quality = quality_cells.loaded(weeks, with_prefix(quality_cells.PREFIX))
    if totals.decided != (known := totals.quality.rows):
        raise ValueError(
            f"cells of {known} of {totals.decided} decisions, as by a version of the program "
            "without them"
        )
    return totals
