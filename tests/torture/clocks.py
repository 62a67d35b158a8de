"""Workers whose clocks are wrong, by libfaketime; nothing where it is not installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

WRONG: Final = ("-26h", "-26h", "+50m", "+400d")
"""By how much; some decisions are to be of the day before."""
_UNITS: Final = {"m": 60, "h": 3_600, "d": 86_400}
_LIBRARY: Final = "faketime/libfaketime.so.1"


def library() -> Path | None:
    """Where libfaketime is."""
    for folder in (*Path("/usr/lib").glob("*-linux-gnu"), Path("/usr/lib"), Path("/usr/local/lib")):
        if (path := folder / _LIBRARY).exists():
            return path
    return None


def wrong_clock(environment: Mapping[str, str], by: str) -> dict[str, str]:
    """The environment of a process whose clock is wrong by so much; "" for the right one."""
    clean = {name: value for name, value in environment.items() if name not in _variables("", "")}
    path = library()
    return {**clean, **_variables(str(path), by)} if by and path else clean


def error_of(stamped: float, written: float) -> float:
    """By how many seconds the clock was wrong that stamped what was written about that time."""
    return min([0.0, *map(_seconds, WRONG)], key=lambda each: abs(stamped - written - each))


def _seconds(by: str) -> float:
    return float(by[:-1]) * _UNITS[by[-1]]


def _variables(path: str, by: str) -> dict[str, str]:
    # Only the time of day: what measures durations goes on as it does.
    return {"LD_PRELOAD": path, "FAKETIME": by, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
