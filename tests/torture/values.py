"""Values of profiles that the workers of the torture remember, and what each of them means."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from zlib import crc32

from models.schema import presets

SENDER: Final = "nameOrig"
RECEIVER: Final = "nameDest"
SIDES: Final = (SENDER, RECEIVER)
"""Fields by whose values there are profiles, in the order of their numbers."""
BUCKET: Final = 300
_HOUR: Final = 3_600
_DAY: Final = 86_400
_UNITS: Final = {"m": 60, "h": _HOUR, "d": _DAY}
_KEPT: Final = 30 * _DAY
"""Seconds of the longest window of each side."""
_BITS: Final = 64


class Value(NamedTuple):
    """One value."""

    function: str
    side: str
    window: str = ""
    of: str = ""

    @property
    def text(self) -> str:
        """The value as a schema declares it."""
        return f"{self.function}({', '.join(filter(None, (self.side, self.of, self.window)))})"

    @property
    def length(self) -> int:
        """Seconds of its window."""
        return int(self.window[:-1]) * _UNITS[self.window[-1]]


VALUES: Final = {
    "sent_5m": Value("count", SENDER, "5m"),
    "sent_1h": Value("count", SENDER, "1h"),
    "spent_24h": Value("sum", SENDER, "24h"),
    "usual": Value("mean", SENDER, "30d"),
    "payees": Value("distinct", SENDER, "24h", RECEIVER),
    "waited": Value("seconds_since_last", SENDER),
    "cheated": Value("fraud_rate", SENDER, "30d"),
    "taken_5m": Value("count", RECEIVER, "5m"),
    "received_1h": Value("sum", RECEIVER, "1h"),
    "usually_received": Value("mean", RECEIVER, "24h"),
    "payers": Value("distinct", RECEIVER, "1h", SENDER),
    "rested": Value("seconds_since_last", RECEIVER),
    "risk": Value("fraud_rate", RECEIVER, "30d"),
    "frauds": Value("frauds", RECEIVER, "24h"),
}
OF_LABELS: Final = ("fraud_rate", "frauds")
"""Functions of labels."""
OF_SIDE: Final = {
    side: {name: value for name, value in VALUES.items() if value.side == side} for side in SIDES
}


def schema() -> str:
    """PaySim's own schema file, with these values."""
    own = presets.content("paysim").decode()
    lines = (f'{name} = "{value.text}"' for name, value in VALUES.items())
    return "\n".join([own, "[profile]", *lines, ""])


@dataclass
class Bucket:
    """Transactions of five minutes."""

    count: int = 0
    cents: int = 0
    bits: int = 0
    """Each different value of the other side sets one of 64."""
    frauds: int = 0

    def add(self, other: Bucket) -> None:
        """Add those of another one."""
        self.count += other.count
        self.cents += other.cents
        self.bits |= other.bits
        self.frauds += other.frauds


@dataclass
class Past:
    """What an account did, on one side: buckets by the second at which they begin."""

    buckets: dict[int, Bucket] = field(default_factory=dict)
    last: int = 0
    """The second of the last transaction."""

    def add(self, second: int, cents: int, bit: int) -> None:
        """Add a transaction."""
        bucket = self.buckets.setdefault(second - second % BUCKET, Bucket())
        bucket.count += 1
        bucket.cents += cents
        bucket.bits |= bit
        self.last = max(self.last, second)

    def add_frauds(self, second: int, change: int) -> None:
        """Add a fraud, or take it back."""
        self.buckets.setdefault(second - second % BUCKET, Bucket()).frauds += change

    def since(self, begin: int) -> Bucket:
        """All from a second on."""
        found = Bucket()
        for start, each in self.buckets.items():
            if start >= begin:
                found.add(each)
        return found


def merged(buckets: Iterable[tuple[int, Bucket]]) -> dict[int, Bucket]:
    """Buckets by the second at which they begin, those together that begin at one."""
    found: dict[int, Bucket] = {}
    for start, each in buckets:
        found.setdefault(start, Bucket()).add(each)
    return found


def bit_of(text: str) -> int:
    """The bit that a value of a counted field sets."""
    return 1 << ((crc32(text.encode()) * 0x9E3779B1 & 0xFFFFFFFF) >> 26)


def begin_of(length: int, second: int) -> int:
    """The second at which a window begins: that of a whole bucket."""
    width = BUCKET if length <= _HOUR else _HOUR if length <= _DAY else _DAY
    return max(1, (second - length) // width * width)


def values_of(
    side: str, second: int, last: int, since: Callable[[int], Bucket]
) -> dict[str, float]:
    """The values that are known at a second; `since` returns all from a second on."""
    found: dict[str, float] = {}
    windows: dict[str, Bucket] = {}
    for name, value in OF_SIDE[side].items():
        if not value.window:
            if last >= max(1, (second - _KEPT) // _DAY * _DAY):
                found[name] = float(max(0, second - last))
            continue
        if value.window not in windows:
            windows[value.window] = since(begin_of(value.length, second))
        if (told := _value(value.function, windows[value.window])) is not None:
            found[name] = told
    return found


def _value(function: str, inside: Bucket) -> float | None:
    amount = inside.cents * 0.01
    simple: Mapping[str, float] = {
        "count": float(inside.count),
        "sum": amount,
        "frauds": float(inside.frauds),
        "distinct": _estimate(inside.bits.bit_count()) if function == "distinct" else 0.0,
    }
    if function in simple:
        return simple[function]
    if not inside.count:
        return None
    return (amount if function == "mean" else float(inside.frauds)) / inside.count


def _estimate(ones: int) -> float:
    if ones == _BITS:
        return 266.0
    return float(round(-_BITS * math.log((_BITS - ones) / _BITS)))


def alike(one: float | None, other: float | None) -> bool:
    """Whether two values are the same, but for rounding."""
    if one is None or other is None:
        return one is other
    return abs(one - other) <= 1e-9 * max(1.0, abs(one), abs(other))
