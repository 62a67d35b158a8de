"""The comparison: everybody once, then the worker, the raw loop and the best peer in turns.

What else runs on a machine changes from minute to minute, so only runs of the same round are
compared: a ratio for each round, and the median of the ratios.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from fraudapp.local.processes import ProcessError
from tests.benchmarks import contenders
from tests.benchmarks.backlog import drop_topic, fill, make_topic
from tests.benchmarks.contenders import Contender
from tests.benchmarks.plan import Plan
from tests.benchmarks.stack import Stack
from tests.benchmarks.throughput import rate_of
from tests.benchmarks.watch import Rate, Stalled

Say = Callable[[str], None]
Rates = dict[str, list[float]]
ONCE: Final = (
    *contenders.LIMITS,
    contenders.TUNED,
    contenders.NAIVE,
    contenders.STOCK,
    contenders.STOCK_ALONE,
)


def compare(stack: Stack, plan: Plan, say: Say) -> dict[str, Any]:
    """Rates by contender, ratios of the rounds, and the peer that was best."""
    topic = make_topic(stack.broker, plan.partitions)
    rates: Rates = defaultdict(list)
    try:
        say(f"writing {plan.events} transactions")
        fill(stack.broker, topic, plan.events)

        def run(contender: Contender) -> None:
            rate = tried(stack, contender, topic, plan, say)
            rates[contender.name].append(rate)

        if plan.thorough:
            # A broker that has just started compiles its code: of our worker, which also writes to
            # it, that took a third of the first run.
            say("warming up")
            tried(stack, contenders.OURS, topic, plan, say)
            for contender in ONCE:
                run(contender)
        peers = contenders.BULK_PEERS if plan.thorough else contenders.BULK_PEERS[-1:]
        for contender in peers:
            run(contender)
        best = max(peers, key=lambda each: rates[each.name][0])
        rounds: Rates = defaultdict(list)
        turns = [contenders.OURS, contenders.OURS_ALONE, contenders.RAW, best]
        if plan.thorough:
            turns.append(contenders.RAW_ALONE)
        for number in range(plan.rounds):
            say(f"round {number + 1} of {plan.rounds}")
            # Now this one first, now that one: nobody always runs on the warmest machine.
            for contender in turns if number % 2 == 0 else turns[::-1]:
                run(contender)
                rounds[contender.name].append(rates[contender.name][-1])
    finally:
        drop_topic(stack.broker, topic)
    return {
        "rates": dict(rates),
        "rounds": dict(rounds),
        "best_peer": best.name,
        "ratios": ratios(rates, rounds, best.name),
    }


def ratios(rates: Rates, rounds: Rates, best: str) -> dict[str, float]:
    """Our rate to that of others: median of the rounds, or median to what ran once."""

    def against(name: str, other: str) -> float:
        ran = name in rounds and other in rounds
        return median_ratio(rounds[name], rounds[other]) if ran else math.nan

    def typical(name: str, other: str) -> float:
        ours, theirs = rounds.get(name), rates.get(other)
        return _ratio(statistics.median(ours), theirs[0]) if ours and theirs else math.nan

    ours, alone = contenders.OURS.name, contenders.OURS_ALONE.name
    return {
        "of_raw": against(ours, contenders.RAW.name),
        "over_best_peer": against(ours, best),
        "over_naive": typical(ours, contenders.NAIVE.name),
        "over_stock_faust": typical(ours, contenders.STOCK.name),
        "alone_of_raw": against(alone, contenders.RAW_ALONE.name),
        "alone_over_stock_faust": typical(alone, contenders.STOCK_ALONE.name),
    }


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Median of the ratios of each round; NaN if one of them has failed or there are none."""
    each = [_ratio(*pair) for pair in zip(ours, theirs, strict=True)]
    return math.nan if not each or any(map(math.isnan, each)) else statistics.median(each)


def _ratio(ours: float, theirs: float) -> float:
    return ours / theirs if theirs else math.nan


def tried(
    stack: Stack,
    contender: Contender,
    topic: str,
    plan: Plan,
    say: Say,
    models: Path | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> float:
    """Rate of a contender; 0 if it fails, which is printed. See `throughput.rate_of`."""
    try:
        rate: Rate = rate_of(
            stack,
            contender,
            topic=topic,
            count=plan.events,
            partitions=plan.partitions,
            seconds=plan.seconds,
            models=models,
            settings=settings,
        )
    except (ProcessError, Stalled) as exc:
        say(f"{contender.name}: failed: {exc}")
        return 0.0
    end = "all of them" if rate.complete else "until time was up"
    say(
        f"{contender.name}: {rate.events_per_s:,.0f} events/s "
        f"({rate.events} in {rate.seconds:.1f} s, {end})"
    )
    return rate.events_per_s


NOT_COMPARED: Final[dict[str, Any]] = {
    "rates": {},
    "rounds": {},
    "best_peer": "",
    "ratios": ratios({}, {}, ""),
}
"""What `compare` returns, of no contender."""
