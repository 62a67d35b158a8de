"""People and programs are told the same."""

from __future__ import annotations

import json

from fraudapp.verifying.shown import as_json, as_text
from models.profiles.differences import Difference, OfValue, Pair, Verified
from tests.support.decisions import DECIDED_AT

FOUND = Verified(
    "shop-1",
    compared=12_000,
    differing=3,
    explained=1,
    of_other_profiles=7,
    earlier=2_000,
    first=DECIDED_AT,
    last=DECIDED_AT,
    values={"spent": OfValue(3, 12.25, 1)},
    examples=[
        Difference("t1", DECIDED_AT, 2, 0.0, {"spent": Pair(12.25, 0.0)}),
        Difference("t\x1b2", DECIDED_AT, 3, 7.5, {"spent": Pair(None, 1 / 3)}, explained=True),
    ],
)


def test_people_see_counts_values_and_the_first_differences() -> None:
    assert as_text(FOUND).splitlines() == [
        "12,000 decisions compared with profiles shop-1",
        "made from 2026-03-04T05:06:07.890123+00:00 to 2026-03-04T05:06:07.890123+00:00",
        "",
        "      11,997  equal",
        "           3  differing",
        "           1    explained: the worker may have known more or less by then",
        "           2    unexplained",
        "",
        "           7  made with other profiles or none; they count in these",
        "       2,000  before the period; they count, too",
        "",
        "value     differing    known once  largest difference",
        "spent             3             1  12.25",
        "",
        "the first that are unexplained",
        "  t1  made 2026-03-04T05:06:07.890123+00:00, partition 2",
        "      spent: stored 12.25, computed 0",
        "",
        "the first that are explained",
        "  t\\x1b2  made 2026-03-04T05:06:07.890123+00:00, partition 3, profiles 7.5 s behind",
        "      spent: stored unknown, computed 0.333333333333",
    ]


def test_programs_get_all_of_it() -> None:
    found = json.loads(as_json(FOUND))
    assert (found["compared"], found["equal"], found["unexplained"]) == (12_000, 11_997, 2)
    assert found["values"] == {"spent": {"differing": 3, "largest": 12.25, "unknown": 1}}
    assert found["examples"][0]["values"] == {"spent": {"stored": 12.25, "computed": 0.0}}


def test_where_nothing_differs_little_is_said() -> None:
    assert len(as_text(Verified("shop-1", compared=5)).splitlines()) == 6
