"""The program and the checker of the torture, which share no code, tell quality alike."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.decisions.batch import encode
from models.labels.records import Value
from models.quality.cells import DecisionCells
from models.quality.labelled import LabelledWeek, about, unit_of
from models.quality.quality import quality
from models.records import Outcome
from models.schema.schema import PAYSIM
from tests.support.decisions import decision
from tests.torture.comparing import Found
from tests.torture.quality import MAX_VERSIONS, Recount
from tests.torture.reading import Record

NOW: Final = datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=timezone.utc)
PARTITIONS: Final = 2


def both(random_: random.Random, policies: int) -> tuple[Any, Recount, list[Record]]:
    """What the program tells, and the recount, of some decisions and labels."""
    cells: defaultdict[int, DecisionCells] = defaultdict(DecisionCells)
    weeks: defaultdict[tuple[int, int], LabelledWeek] = defaultdict(LabelledWeek)
    joined, log = {}, []
    for number in range(random_.randint(1, 80)):
        partition = random_.randrange(PARTITIONS)
        explored = random_.choice([0.0, 0.0, 0.1])
        more: dict[str, Any] = {"explored": explored} if explored else {}
        made = decision(
            f"t{number}",
            decided_at=NOW + timedelta(days=random_.choice([0, 0, -8, -1, 400])),
            policy_version=f"{random_.randint(1, policies)}+{random_.randint(1, 9)}",
            decision=Outcome.FLAG if explored else random_.choice([*Outcome]),
            score=random_.random(),
            hits=random_.sample(["a", "b", "c"], random_.randint(0, 3)),
            **more,
        )
        cells[partition].add([made])
        log.append(Record("d", partition, number, b"", encode(made), ()))
        if random_.random() < 0.5:
            label: Value = 1 if random_.random() < 0.5 else 0
            moved = about(made, PAYSIM)
            weeks[moved.week, partition].move(moved, None, label)
            joined[made.transaction_id] = {"label": label}
    told = quality(cells, weeks, now=NOW.timestamp(), unit=unit_of(PAYSIM))
    return json.loads(msgspec.json.encode(told)), Recount(log, joined, now=NOW), log


@given(st.integers(0, 2**32), st.sampled_from([3, 2 * MAX_VERSIONS]))
def test_both_tell_alike(seed: int, policies: int) -> None:
    told, recount, _ = both(random.Random(seed), policies)
    found = Found()
    recount.compare("a worker", told, found)
    assert found.miscounted == []


def test_what_is_not_told_or_told_wrong_is_complained_of() -> None:
    told, recount, log = both(random.Random(1), 3)
    found = Found()
    recount.compare("a worker", None, found)
    assert found.miscounted == ["a worker tells no quality"]
    for week in told["weeks"]:
        one = Found()
        of = week["versions"][0]["measured"]["outcomes"].values()
        next(each for each in of if each["rows"])["frauds"] += 1
        recount.compare("a worker", told, one)
        assert one.miscounted
    other = Found()
    Recount(log[1:], {}, now=NOW).compare("a worker", told, other)
    assert other.miscounted
