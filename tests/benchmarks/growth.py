"""What changes with more workers, with more events, and with a larger index."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from fraudapp.local.processes import ProcessError
from fraudapp.process.malloc import TRIM_INTERVAL
from tests.benchmarks.backlog import drop_topic, fill, make_topic
from tests.benchmarks.contenders import OURS
from tests.benchmarks.plan import Plan
from tests.benchmarks.stack import Stack, namespace
from tests.benchmarks.throughput import Started, observers, process, resident, wait_for
from tests.benchmarks.watch import Log, Sinks, Stalled
from tests.benchmarks.watch import measure as measure_rate

Figures = dict[str, float]
FIRST_MEMORY_EVENTS = 1_000_000  # events after which memory is looked at first
# Seconds from the last event to a worker at rest: one call sees the last change, the next lets the
# indexes be written to disk, the third gives back what they held.
REST_SECONDS = 3 * TRIM_INTERVAL
# Seconds that workers may be frozen, and send no heartbeats; Faust allows less than 90.
FREEZABLE = {"FRAUD_BROKER_SESSION_TIMEOUT": "80"}
PHASE_TIMEOUT_SECONDS = 900.0  # seconds a phase that does not end may take


def measure(stack: Stack, plan: Plan, say: Callable[[str], None]) -> Figures:
    """All figures that the plan asks for, by name; one that fails is printed and left out."""
    figures: Figures = {}
    steps: list[Callable[[], Figures]] = [
        partial(rate_of_group, stack, plan, *sizes) for sizes in plan.growth
    ]
    if plan.memory_events:
        steps.append(partial(memory, stack, plan))
    steps += [partial(recovery, stack, plan, size) for size in plan.indexes]
    for step in steps:
        try:
            measured = step()
        except (ProcessError, Stalled, TimeoutError) as exc:
            say(f"growth: failed: {exc}")
            continue
        for name, figure in measured.items():
            say(f"{name}: {figure:,.4g}")
        figures |= measured
    return figures


def rate_of_group(stack: Stack, plan: Plan, partitions: int, workers: int) -> Figures:
    """Events/s of workers that share a topic.

    They are ready before there is anything to do, and are frozen while the backlog is written: all
    begin at once, and nothing of a rebalance is measured.
    """
    topic = make_topic(stack.broker, partitions)
    with ExitStack() as cleanup:
        cleanup.callback(drop_topic, stack.broker, topic)
        own = cleanup.enter_context(namespace(stack, topic, partitions))
        own.environment.update(FREEZABLE)
        group = [cleanup.enter_context(process(own, OURS, number)) for number in range(workers)]
        for started in group:
            wait_for(started.ready, 120, "all workers are ready")
        _fill_before(group, stack.broker, topic, plan.events)

        def alive() -> None:
            for started in group:
                started.expect_alive()

        progress = observers(own, OURS, partitions)
        rate = measure_rate(*progress, count=plan.events, limit=plan.seconds, alive=alive)
    return {f"events/s, {partitions} partitions, {workers} workers": rate.events_per_s}


def memory(stack: Stack, plan: Plan) -> Figures:
    """MiB that a worker holds: at rest after a million events and after all, at work, at most."""
    topic = make_topic(stack.broker, plan.partitions)
    figures: Figures = {}
    with ExitStack() as cleanup:
        cleanup.callback(drop_topic, stack.broker, topic)
        own = cleanup.enter_context(namespace(stack, topic, plan.partitions))
        own.environment["FRAUD_REDIS_TTL"] = "60"  # or the server's memory would be the limit
        own.environment.update(FREEZABLE)
        started = cleanup.enter_context(process(own, OURS))
        wait_for(started.ready, 60, "the worker is ready")
        log, sinks = Log(own, plan.partitions), Sinks(own)
        held: list[tuple[int, float]] = []
        written = 0
        first, last = min(FIRST_MEMORY_EVENTS, plan.memory_events // 5), plan.memory_events
        for events in (first, last):
            _fill_before([started], stack.broker, topic, events - written, f"from-{written}")
            written = events

            def kept(events: int = events) -> bool:
                started.expect_alive()
                time.sleep(0.5)
                decided = log.decided()
                held.append((decided, resident(started.child)))
                if decided < events:
                    return False
                return min(sinks.in_s3(), sinks.in_postgres()) >= events

            wait_for(kept, PHASE_TIMEOUT_SECONDS, f"{events} events are in the sinks")
            time.sleep(REST_SECONDS)
            figures[f"MiB at rest after {events:,} events"] = resident(started.child)
        for start, end in ((first, 2 * first), (last - first, last)):
            if window := [mib for decided, mib in held if start < decided < end]:
                median = statistics.median(window)
                figures[f"MiB at work, from {start:,} to {end:,} events, median"] = median
        figures["MiB at most"] = max(mib for _, mib in held)
    return figures


def recovery(stack: Stack, plan: Plan, size: int) -> Figures:
    """Seconds from start to the next decision: with so many in the index, and with it lost."""
    topic = make_topic(stack.broker, plan.partitions)
    figures: Figures = {}
    with ExitStack() as cleanup:
        cleanup.callback(drop_topic, stack.broker, topic)
        own = cleanup.enter_context(namespace(stack, topic, plan.partitions))
        fill(stack.broker, topic, size)
        with process(own, OURS) as started:
            log = Log(own, plan.partitions)
            wait_for(started.ready, PHASE_TIMEOUT_SECONDS, "the worker is ready")
            wait_for(
                lambda: log.decided() >= size, PHASE_TIMEOUT_SECONDS, f"{size} events are decided"
            )
            started.child.stop()
        for number, (name, prepare) in enumerate((("kept", _keep), ("lost", _lose)), start=1):
            prepare(own.folder / "data-0")
            fill(stack.broker, topic, 1, prefix=f"after-{name}")
            awaited = size + number

            def decided(awaited: int = awaited) -> bool:
                return log.decided() >= awaited

            with process(own, OURS) as started:
                seconds = wait_for(decided, PHASE_TIMEOUT_SECONDS, "a decision")
                started.child.stop()
            figures[f"s from start to decision, index of {size:,} {name}"] = seconds
    return figures


def _fill_before(
    group: Sequence[Started], broker: str, topic: str, count: int, prefix: str = "t"
) -> None:
    """Write a backlog while the workers are frozen, so that it is whole when they begin."""
    for started in group:
        started.child.pause()
    fill(broker, topic, count, prefix)
    for started in group:
        started.child.resume()


def _keep(folder: Path) -> None:
    """Leave a worker's folder as it is."""


def _lose(folder: Path) -> None:
    """Remove a worker's folder, as the loss of its disk would."""
    shutil.rmtree(folder)
