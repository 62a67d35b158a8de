"""Values of profiles by brute force, from the definitions in `models.profiles.values`."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import NamedTuple
from zlib import crc32

from models.profiles.values import Value
from models.profiles.windows import DAY


class Past(NamedTuple):
    """A transaction, and whether it is known to be fraud."""

    second: int
    sender: str | None
    receiver: str | None
    cents: int
    fraud: int = 0


def others(field: str, past: Sequence[Past]) -> set[str]:
    """The different values of a field."""
    return {value for each in past if (value := getattr(each, field)) is not None}


def recounted(value: Value, kept: int, past: Sequence[Past], now: Past) -> float | None:
    """Return a value of `now`, which comes after the `past`; `kept` is that of its side."""
    key = getattr(now, value.key)
    if key is None:
        return None
    same = [each for each in past if getattr(each, value.key) == key]
    if value.window is None:
        oldest = (now.second - kept) // DAY * DAY
        seconds = [each.second for each in same if each.second >= oldest]
        if not seconds:
            return None
        if value.function == "seconds_since_last":
            return max(0, now.second - max(seconds))
        return now.second // DAY - min(seconds) // DAY
    width, length, delay = value.window.width, value.window.length, value.window.delay
    begin = (now.second - delay - length) // width * width
    end = (now.second - delay) // width * width if delay else float("inf")
    inside = [each for each in same if begin <= each.second < end]
    if value.function == "distinct":
        bits = {
            (crc32(each.encode()) * 0x9E3779B1 & 0xFFFFFFFF) >> 26
            for each in others(value.of or "", inside)
        }
        return round(-64 * log(1 - len(bits) / 64)) if len(bits) < 64 else 266
    count, cents = len(inside), sum(each.cents for each in inside)
    frauds = sum(each.fraud for each in inside)
    return {
        "count": count,
        "sum": cents / 100,
        "mean": cents / 100 / count if count else None,
        "frauds": frauds,
        "fraud_rate": frauds / count if count else None,
    }[value.function]
