"""The archive against the decision log, line by line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

from aiokafka import ConsumerRecord

Line = Mapping[str, Any]


class Compared(NamedTuple):
    """What is wrong with an archive; nobody wants to see any of it."""

    lost: list[str]
    """Decisions that count and have no line, or only lines that say something else."""
    foreign: list[str]
    """Lines that the log does not have: of two different ones under an id, at least one is so."""


def logged(records: Iterable[ConsumerRecord]) -> list[dict[str, Any]]:
    """The decisions in records of the log, in the order in which the first of an id counts."""
    ordered = sorted(records, key=lambda each: (each.partition, each.offset))
    return [json.loads(each.value) for each in ordered]


def compare(
    lines: Iterable[Line], log: Iterable[Line], purged_before: date | None = None
) -> Compared:
    """Hold every line of the archive against the log (see `logged`), as a whole.

    A line may be there any number of times. Of UTC days before `purged_before` none has to be.
    """
    first: dict[str, str] = {}
    known: set[str] = set()
    for each in log:
        known.add(_whole(each))
        if purged_before is None or _day(each) >= purged_before:
            first.setdefault(each["transaction_id"], _whole(each))
        else:
            first.setdefault(each["transaction_id"], "")
    there = {_whole(line): str(line["transaction_id"]) for line in lines}
    return Compared(
        lost=[id_ for id_, whole in first.items() if whole and whole not in there],
        foreign=[id_ for whole, id_ in there.items() if whole not in known],
    )


def _whole(line: Line) -> str:
    """The line as text: 1, 1.0 and true are equal in Python, and not here."""
    return json.dumps(line, sort_keys=True)


def _day(line: Line) -> date:
    return datetime.fromisoformat(str(line["decided_at"]).replace("Z", "+00:00")).date()
