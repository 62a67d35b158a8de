"""Latency of our worker at fixed rates, with all stores on: `tests/latency_probe.py` against it."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import aiohttp

from tests.benchmarks.backlog import drop_topic, make_topic
from tests.benchmarks.contenders import OURS
from tests.benchmarks.stack import Stack, corner
from tests.benchmarks.throughput import process, wait_for
from tests.latency_probe import probe

RATES: Final = (100, 500, 2_000, 10_000)
"""Events a second."""
SAMPLES: Final = 150
"""Requests a second, at most: one for each event would cost more than what is measured."""

Figures = dict[str, float]


def latencies(
    stack: Stack, seconds: float, say: Callable[[str], None], rates: Sequence[int] = RATES
) -> dict[str, Figures]:
    """Percentiles in milliseconds by rate, each from `seconds` of load on one warm worker.

    Ends at the first rate that the worker cannot keep up with: a request went without its answer.
    """
    measured: dict[str, Figures] = {}
    topic = make_topic(stack.broker, 4)
    try:
        with corner(stack, topic, 4) as own, process(own, OURS) as started:
            wait_for(started.ready, 60, "the worker is ready")

            def probed(rate: int, count: int) -> Figures:
                url = f"http://127.0.0.1:{started.port}"
                options = {"url": url, "broker": stack.broker, "topic": topic}
                sizes = {"rate": rate, "count": count, "samples": SAMPLES}
                return probe(argparse.Namespace(**options, **sizes))

            try:
                probed(500, 2_500)  # warms up
                for rate in rates:
                    measured[str(rate)] = probed(rate, int(rate * seconds))
                    say(f"{rate}/s: p99 {measured[str(rate)]['p99']:.1f} ms")
            except (AssertionError, asyncio.TimeoutError, aiohttp.ClientError, OSError) as exc:
                say(f"the worker does not keep up: {exc!r}")
    finally:
        drop_topic(stack.broker, topic)
    return measured
