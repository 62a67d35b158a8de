"""Compares what labels say of blocked and flagged transactions with what their scores had said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from models.policies.intervals import Share
from models.quality.documents import DecisionQuality, OutcomeQuality
from models.watch.bounds import LIMIT, of_share
from models.watch.cells import day_at, name_of
from models.watch.documents import Alarm
from models.watch.judging import ADVICE

LEAST_GAP: Final = 0.2
"""A difference that is no alarm by itself: which transactions get a label is not by chance."""
_STOPPED: Final = {"BLOCK": "was blocked", "FLAG": "was flagged"}


def of_labels(quality: DecisionQuality) -> Iterator[Alarm]:
    """Yield an alarm for each model, policy and outcome with less fraud than its scores say.

    It is of weeks whose labels have come.
    """
    for version in quality.mature.versions:
        for outcome, words in _STOPPED.items():
            each = version.measured.outcomes[outcome]
            if each.expected is None or each.observed is None:
                continue
            if not _is_off(each, each.expected, each.observed):
                continue
            day = name_of(day_at(quality.at))
            yield Alarm(
                kind="precision",
                model=version.model,
                day=day,
                since=day,
                expected=each.expected,
                observed=each.observed.value,
                says=f"Of what {words} by model {version.model} and policy {version.policy}, "
                f"{each.observed.value:.1%} of {each.frauds + each.legitimate:,} with a label "
                f"is fraud, and {each.expected:.1%} was to be expected by the scores.",
                advice=ADVICE["precision"],
            )


def _is_off(each: OutcomeQuality, expected: float, observed: Share) -> bool:
    if expected - observed.value < LEAST_GAP:
        return False
    return of_share(each.frauds, each.frauds + each.legitimate, expected) > LIMIT
