"""What has to be known to read the numbers of a backtest, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fraudapp.backtests.replay import Replay
from models.policies.backtest import Backtest


def notes(replay: Replay, found: Backtest) -> Iterator[str]:
    """Yield a sentence for each respect in which the past is not what was computed with."""
    yield from replay.candidate.problems
    versions, number = replay.versions, str(replay.candidate.number)
    by_thresholds = sum(count for maker, count in found.made_by.items() if not maker.isdecimal())
    if versions.latest:
        whose = "of policies that do not look into them"
        if by_thresholds:
            whose = f"by thresholds, or {whose}"
        yield (
            f"The lists {_named(versions.latest)} are as they are now for decisions {whose}: "
            "their versions do not say how these lists were."
        )
    if others := found.rows - found.made_by.get(number, 0):
        yield (
            f"Caps are not simulated: {others:,} decisions were made by other policies, and are "
            "ruled as if no cap had begun."
        )
    if replay.candidate.ruling.policy.canary:
        yield (
            "The canary of this policy is not simulated: scores are those that decisions have, by "
            "whatever model, and what it would have decided is not computed."
        )
    if versions.unknown:
        yield (
            f"The policies {_named(versions.unknown)} are not in the control log, or do not fit "
            "the schema any more: their decisions are ruled with the lists as of their versions."
        )
    if missing := replay.features.missing:
        yield (
            f"The models {_named(missing)} are not here: what they had learned for features is "
            "taken from the active model."
        )
    if replay.is_full:
        yield f"The first {found.rows:,} decisions were compared, and perhaps not all: see --limit."


def _named(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
