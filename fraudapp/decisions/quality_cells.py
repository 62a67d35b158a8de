"""Cells of decisions as entries of a decision index, each under a key of its own.

Only the cells that a batch has changed are written with it: mostly those of one week.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct, msgpack

from models.counts import Count
from models.quality.cells import ByOutcome, Cell, Changes, Days, DecisionCells, Week

# No transaction id holds a control character, so these keys cannot be ids.
KEY: Final = b"\x00quality"
"""Key of what is known of all weeks; an index that has decisions has it."""
PREFIX: Final = b"\x00quality/"
"""Begins the keys of all cells."""
_WEEK, _VERSION = b"w", b"v"
_WEEK_BYTES: Final = 4
_encode: Final = msgpack.Encoder().encode


class _Weeks(Struct, array_like=True):
    kept: list[int]
    dropped: list[int]
    dropped_rows: Count


class _Week(Struct, array_like=True):
    days: Days
    rules: dict[str, Count]


class _Version(Struct, array_like=True):
    model: str
    policy: str
    outcomes: ByOutcome


_decode_weeks: Final = msgpack.Decoder(_Weeks).decode
_decode_week: Final = msgpack.Decoder(_Week).decode
_decode_version: Final = msgpack.Decoder(_Version).decode


def entries(cells: DecisionCells, changes: Changes) -> Iterator[tuple[bytes, bytes | None]]:
    """Yield the keys that have changed with their new values; None deletes a key."""
    if changes.order:
        weeks = _Weeks([*cells.weeks], cells.dropped, cells.dropped_rows)
        yield KEY, _encode(weeks)
    for number, week in changes.dropped.items():
        yield _week_key(number), None
        for model, policies in week.versions.items():
            for policy in policies:
                yield _version_key(number, model, policy), None
    for number in changes.weeks - changes.dropped.keys():
        week = cells.weeks[number]
        yield _week_key(number), _encode(_Week(week.days, week.rules))
    for number, model, policy in changes.versions:
        if number not in changes.dropped:
            outcomes = cells.weeks[number].versions[model][policy]
            key = _version_key(number, model, policy)
            yield key, _encode(_Version(model, policy, outcomes))


def loaded(weeks: bytes | None, found: Mapping[bytes, bytes]) -> DecisionCells:
    """Return the cells whose `entries` were written: that of `KEY`, and those with the prefix.

    Raises `KeyError`, `ValueError`, or an error of msgspec, for entries that were not.
    """
    if weeks is None:
        return DecisionCells()
    told = _decode_weeks(weeks)
    cells = DecisionCells({}, told.dropped, told.dropped_rows)
    for number in told.kept:
        days = _decode_week(found[_week_key(number)])
        cells.weeks[number] = Week(days.days, days.rules)
    for key, value in found.items():
        kind, number = _parsed(key)
        if kind == _VERSION:
            each = _decode_version(value)
            of_model = cells.weeks[number].versions.setdefault(each.model, {})
            of_model[each.policy] = each.outcomes
    for number, week in cells.weeks.items():
        if sum(week.days) != sum(map(_rows, week.versions.values())):
            raise ValueError(f"cells of the week {number} are missing")
    return cells


def _rows(policies: Mapping[str, list[Cell]]) -> int:
    return sum(cell.rows for cells in policies.values() for cell in cells)


def _week_key(number: int) -> bytes:
    return PREFIX + _WEEK + number.to_bytes(_WEEK_BYTES, "big", signed=True)


def _version_key(number: int, model: str, policy: str) -> bytes:
    week = number.to_bytes(_WEEK_BYTES, "big", signed=True)
    return PREFIX + _VERSION + week + _encode((model, policy))


def _parsed(key: bytes) -> tuple[bytes, int]:
    at = len(PREFIX)
    week = key[at + 1 : at + 1 + _WEEK_BYTES]
    return key[at : at + 1], int.from_bytes(week, "big", signed=True)
