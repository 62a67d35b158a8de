"""Latency of our worker at fixed rates, with all sinks on: `tests/latency_probe.py` against it."""

from __future__ import annotations

import argparse
import asyncio
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

import aiohttp

from tests.benchmarks.backlog import drop_topic, make_topic
from tests.benchmarks.contenders import OURS
from tests.benchmarks.plan import Plan
from tests.benchmarks.stack import Stack, namespace
from tests.benchmarks.throughput import process, wait_for
from tests.latency_probe import probe

SAMPLES: Final = 150
"""Requests a second, at most: one for each event would cost more than what is measured."""
WARM_UP_RATE: Final = 2_000
"""Transactions a second before anything is measured.

A broker that has just started compiles itself under its first load: for a minute (which the quick
plan does not wait out) a whole core is gone in bursts of a second, and p99 is 60 to 100 ms where it
is 30 afterwards.
"""

Figures = dict[str, float]


def latencies(stack: Stack, plan: Plan, say: Callable[[str], None]) -> dict[str, Figures]:
    """Percentiles in milliseconds by rate, of one warm worker: medians of the plan's rounds.

    Ends when the worker cannot keep up: a request went without its answer. A rate that did not have
    all of its rounds by then is left out.
    """
    measured: defaultdict[str, list[Figures]] = defaultdict(list)
    topic = make_topic(stack.broker, plan.partitions)
    try:
        with namespace(stack, topic, plan.partitions) as own, process(own, OURS) as started:
            wait_for(started.ready, 60, "the worker is ready")

            def probed(rate: int, seconds: float) -> Figures:
                url = f"http://127.0.0.1:{started.port}"
                options = {"url": url, "broker": stack.broker, "topic": topic}
                sizes = {"rate": rate, "count": int(rate * seconds), "samples": SAMPLES}
                return probe(argparse.Namespace(**options, **sizes))

            try:
                probed(WARM_UP_RATE, plan.warm_up_seconds)
                for _ in range(plan.rounds):
                    for rate in plan.rates:
                        figures = probed(rate, plan.latency_seconds)
                        measured[str(rate)].append(figures)
                        say(f"{rate}/s: p99 {figures['p99']:.1f} ms")
            except (AssertionError, asyncio.TimeoutError, aiohttp.ClientError, OSError) as exc:
                say(f"ended early; does the worker keep up? {exc!r}")
    finally:
        drop_topic(stack.broker, topic)
    return {
        rate: _medians(rounds) for rate, rounds in measured.items() if len(rounds) == plan.rounds
    }


def _medians(rounds: Sequence[Figures]) -> Figures:
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
