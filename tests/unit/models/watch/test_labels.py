"""Labels that say less than the scores are an alarm, unless they are few or near."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from models.policies.intervals import wilson
from models.quality.documents import DecisionQuality, Measured, OutcomeQuality, VersionQuality
from models.quality.quality import quality
from models.watch.labels import of_labels


def told(frauds: int, legitimate: int, expected: float | None = 0.9) -> DecisionQuality:
    rows = frauds + legitimate
    blocked = OutcomeQuality(
        rows=rows,
        explored=0,
        frauds=frauds,
        legitimate=legitimate,
        expected=expected,
        observed=wilson(frauds, rows) if rows else None,
        fraud_amounts={},
    )
    nothing = quality({}, {}, now=86_400.0 * 20, unit=0.01)
    empty: Measured = nothing.total.measured
    measured = replace(empty, outcomes=empty.outcomes | {"BLOCK": blocked})
    version = VersionQuality(model="m", policy="3", measured=measured)
    return replace(nothing, mature=replace(nothing.mature, versions=[version]))


def test_blocks_that_are_honest_are_told() -> None:
    (alarm,) = of_labels(told(300, 700))
    assert (alarm.kind, alarm.model, alarm.expected, alarm.observed) == ("precision", "m", 0.9, 0.3)
    assert alarm.says.startswith("Of what was blocked by model m and policy 3, 30.0% of 1,000 with")


@pytest.mark.parametrize(
    ("frauds", "legitimate", "expected"),
    [(900, 100, 0.9), (750, 250, 0.9), (1, 4, 0.9), (1_000, 0, 0.2), (0, 0, 0.9), (3, 700, None)],
)
def test_what_is_near_few_or_better_is_not(
    frauds: int, legitimate: int, expected: float | None
) -> None:
    assert [*of_labels(told(frauds, legitimate, expected))] == []
