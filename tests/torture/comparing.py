"""Holds what is in log, sinks, dead letters and answers against what a correct system has."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from models.records import Transaction
from models.schema.schema import PAYSIM
from tests.torture.expected import Expected, Source
from tests.torture.lines import day_of, differing, line
from tests.torture.reading import Record
from tests.torture.recomputing import Recomputing
from tests.torture.written import Written

Lines = Mapping[str, str]
"""Lines by transaction id."""


class Found:
    """Everything that was found wrong; empty lists if nothing was."""

    def __init__(self) -> None:
        self.lost: list[str] = []
        self.doubled: list[str] = []
        self.miscounted: list[str] = []
        self.misdecided: list[str] = []
        self.mislabelled: list[str] = []
        self.misremembered: list[str] = []


def first_lines(log: Iterable[Record]) -> dict[str, str]:
    """The decision that counts under each id: the first in the log, of records in their order."""
    first: dict[str, str] = {}
    for each in log:
        decision = json.loads(each.value or b"")
        first.setdefault(decision["transaction_id"], line(decision))
    return first


def decided_by(first: Lines) -> dict[str, Transaction]:
    """The payload that was decided under each id."""
    return {
        id_: PAYSIM.parser.parse(json.dumps(json.loads(text)["transaction"]).encode())
        for id_, text in first.items()
    }


def compare_log(
    first: Lines,
    decided: Mapping[str, Transaction],
    expected: Expected,
    policies: Recomputing,
    found: Found,
) -> None:
    """Each transaction that was committed is decided, from an input there is, by its policy."""
    found.lost += [f"{id_} was not decided" for id_ in expected.payloads.keys() - first.keys()]
    found.doubled += [f"{id_} was decided unasked" for id_ in first.keys() - expected.payloads]
    for id_ in first.keys() & expected.payloads.keys():
        if decided[id_] not in expected.payloads[id_]:
            found.doubled.append(f"{id_} was decided with a payload nobody sent")
            continue
        decision = json.loads(first[id_])
        if expected.valid.get((decision["partition"], decision["offset"])) != decided[id_]:
            found.doubled.append(f"{id_} was decided from an input where there is another")
        if wrong := policies.wrong(decision):
            found.misdecided.append(f"{id_}: {wrong}")


def compare_sink(
    name: str, sink: Iterable[str], first: Lines, written: Written, found: Found, *, once: bool
) -> None:
    """A sink has the decision that counts under each id, and nothing else; `once`, if rows count.

    Of days that were purged it has nothing. What the log had and has lost it may still have.
    """
    there: dict[str, Counter[str]] = {}
    for text in sink:
        there.setdefault(json.loads(text)["transaction_id"], Counter())[text] += 1
    for id_, text in first.items():
        day = day_of(text)
        if id_ in there and written.purged and day < written.purged and text in there[id_]:
            found.doubled.append(f"{name} has {id_}, which was purged with {day}")
        if id_ in there and (text in there[id_] or id_ in written.cut):
            continue
        if not (written.ever_purged and day < written.ever_purged):
            found.lost.append(f"{name} does not have {id_}" + _instead(there.get(id_), text))
    for id_, texts in there.items():
        if id_ in written.cut:
            continue
        if id_ not in first:
            found.doubled.append(f"{name} has {id_}, undecided")
        found.doubled += [
            f"{name} has another decision on {id_}: {differing(each, first[id_])}"
            for each in texts
            if id_ in first and each != first[id_]
        ]
        if once and sum(texts.values()) > 1:
            found.doubled.append(f"{name} has {sum(texts.values())} rows of {id_}")


def compare_answers(
    told: Mapping[str, Mapping[str, Any]], first: Lines, written: Written, found: Found
) -> None:
    """Each caller got the decision that counts."""
    for id_, decision in told.items():
        text = line(decision)
        if id_ not in written.cut and first.get(id_) != text:
            found.doubled.append(
                f"a caller got another decision on {id_} than the log has: "
                f"{differing(text, first.get(id_, '{}'))}"
            )


def compare_dead_letters(
    dead_letters: Iterable[Record],
    expected: Expected,
    decided: Mapping[str, Transaction],
    found: Found,
) -> Counter[Source]:
    """Each rejected input is a dead letter, with its key and bytes; returns how many of each."""
    wanted = expected.dead_letters(decided)
    count: Counter[Source] = Counter()
    for each in dead_letters:
        texts = each.texts
        source = int(texts.get("partition", -1)), int(texts.get("offset", -1))
        count[source] += 1
        if source not in wanted:
            found.doubled.append(f"input {source} is a dead letter without cause: {texts}")
            continue
        origin = expected.records[source]
        if (each.key, each.value) != (origin.key, origin.value):
            found.lost.append(f"dead letter of {source} has other bytes")
        if texts.get("reason") != wanted[source]:
            found.lost.append(f"dead letter of {source} has reason {texts.get('reason')}")
    found.lost += [f"input {source} is no dead letter" for source in wanted.keys() - count.keys()]
    return count


def _instead(texts: Iterable[str] | None, text: str) -> str:
    return "".join(f", but one with another {differing(each, text)}" for each in texts or ())
