"""What a policy costs: 100 rules, and lists of a million entries.

    python -m tests.benchmarks --only policies

One worker works off the same backlog without a policy and under one, in turns. The policy and the
entries are in the control topic before a worker starts, so that it reads them before it is ready.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import psutil
import redis

from fraudapp.cli.control import opened
from fraudapp.local.processes import Child, ProcessError
from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import load
from models.control.records import ROOT, Listed
from models.control.state import ControlState
from models.control.versions import Version
from models.policies.in_force import InForce
from models.policies.reading import read
from models.policies.ruling import Ruling
from models.schema.schema import PAYSIM
from tests.benchmarks.backlog import drop_topic, fill, make_topic
from tests.benchmarks.contenders import OURS
from tests.benchmarks.hundred_rules import entries, policy_text
from tests.benchmarks.plan import Plan
from tests.benchmarks.policy_costs import WITHOUT, compared, deciding
from tests.benchmarks.rounds import Say
from tests.benchmarks.stack import Namespace, Stack, namespace
from tests.benchmarks.throughput import observers, process, resident, wait_for
from tests.benchmarks.watch import Stalled
from tests.benchmarks.watch import measure as measure_rate

READY_SECONDS: Final = 120.0


class Run(NamedTuple):
    """One worker on the backlog; NaN if it has failed."""

    rate: float = math.nan
    """Events/s, all sinks."""
    cpu: float = math.nan
    """Microseconds of a core that the worker took for an event."""
    ready: float = math.nan
    """Seconds from the start of the process until it is ready."""
    cpu_ready: float = math.nan
    """Seconds of a core until then."""
    memory: float = math.nan
    """MiB that it holds at the end."""


class Subject(NamedTuple):
    """What a worker decides by."""

    name: str
    policy: InForce
    settings: Mapping[str, str] = MappingProxyType({})
    """Beside those of the namespace."""


def measure(stack: Stack, plan: Plan, say: Say) -> dict[str, Any]:
    """Figures without a policy and under it, what is between them, and all runs."""
    topic = make_topic(stack.broker, plan.partitions)
    with ExitStack() as cleanup:
        cleanup.callback(drop_topic, stack.broker, topic)
        fill(stack.broker, topic, plan.events)
        own = cleanup.enter_context(namespace(stack, topic, plan.partitions))
        say(f"policies: importing {plan.entries:,} entries")
        begin = time.monotonic()
        policy = in_force(asyncio.run(imported(own, plan.entries)))
        figures = {"s to import the entries": time.monotonic() - begin}
        control = {"FRAUD_CONTROL_TOPIC": own.environment["FRAUD_CONTROL_TOPIC"]}
        subjects = Subject("without", WITHOUT), Subject("under", policy, control)
        say("policies: deciding in this process")
        scorer = ModelRegistry(stack.folder / "models").load_active()
        costs = {each.name: deciding(scorer, each.policy) for each in subjects}
        figures |= compared(scorer, policy)
        runs = _in_turns(stack, topic, plan, subjects, say)
    return {
        "entries": plan.entries,
        **{name: _medians(runs[name]) | costs[name] for name in runs},
        "figures": _between(runs["under"], runs["without"]) | figures,
        "runs": {name: [run._asdict() for run in each] for name, each in runs.items()},
    }


async def imported(own: Namespace, count: int) -> ControlState:
    """Write the policy and so many entries to the control topic; return what it says then."""
    listed = Listed(author="benchmark", note="imported")
    settings = load(own.with_data_folder())
    async with opened(settings, for_writing=True) as control, control.writer() as writer:
        for name, values in entries(count).items():
            await writer.add(name, values, listed)
        await writer.propose(policy_text(), author="benchmark", parent=ROOT)
        return control.known


def in_force(known: ControlState) -> InForce:
    """Return what every worker has in force that has read as far."""
    ruling = Ruling(read(known.chain.members[-1].proposed.text.encode(), PAYSIM), PAYSIM)
    version = Version(1, known.lists.next_offset(ruling.lists))
    return InForce(ruling, str(version), known.lists.at)


def _in_turns(
    stack: Stack, topic: str, plan: Plan, subjects: Sequence[Subject], say: Say
) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {each.name: [] for each in subjects}
    if plan.thorough:
        say("policies: warming up")
        _tried(stack, topic, plan, subjects[0], say)
    for number in range(plan.rounds):
        say(f"policies: round {number + 1} of {plan.rounds}")
        for subject in subjects if number % 2 == 0 else subjects[::-1]:
            runs[subject.name].append(_tried(stack, topic, plan, subject, say))
    return runs


def _tried(stack: Stack, topic: str, plan: Plan, subject: Subject, say: Say) -> Run:
    """Let one worker work off the backlog; a failure is printed."""
    try:
        with namespace(stack, topic, plan.partitions) as own:
            own.environment |= subject.settings
            run = _run(own, plan, subject.policy)
    except (ProcessError, Stalled, TimeoutError) as exc:
        say(f"{subject.name}: failed: {exc}")
        return Run()
    say(
        f"{subject.name}: {run.rate:,.0f} events/s, {run.cpu:.1f} µs of a core each, "
        f"ready after {run.ready:.1f} s, {run.memory:.0f} MiB"
    )
    return run


def _run(own: Namespace, plan: Plan, policy: InForce) -> Run:
    with process(own, OURS) as started:
        ready, cpu_ready = wait_for(started.ready, READY_SECONDS, "ready"), _cpu(started.child)
        rate = measure_rate(
            *observers(own, OURS, plan.partitions),
            count=plan.events,
            limit=min(plan.seconds, OURS.seconds),
            alive=started.expect_alive,
        )
        cpu = (_cpu(started.child) - cpu_ready) / rate.events * 1e6
        with redis.Redis(port=own.stack.redis.port) as client:
            decision = PAYSIM.decode(client.get(client.randomkey()))
        if decision.policy_version != policy.version:
            raise Stalled(f"policy {decision.policy_version} has decided, not {policy.version}")
        time.sleep(plan.rest_seconds)
        return Run(rate.events_per_s, cpu, ready, cpu_ready, resident(started.child))


def _cpu(child: Child) -> float:
    """Seconds of a core that a process has taken."""
    times = psutil.Process(child.pid).cpu_times()
    return float(times.user + times.system)


def _medians(runs: Sequence[Run]) -> dict[str, float]:
    rate, cpu, ready, cpu_ready, memory = (_median(each) for each in zip(*runs, strict=True))
    return {
        "events/s, all sinks": rate,
        "µs of a core, an event": cpu,
        "s from start to ready": ready,
        "s of a core until then": cpu_ready,
        "MiB at the end": memory,
    }


def _between(ours: Sequence[Run], theirs: Sequence[Run]) -> dict[str, float]:
    """Return medians of what was between the runs of each round."""
    pairs = list(zip(ours, theirs, strict=True))
    return {
        "of the rate without": _median([one.rate / other.rate for one, other in pairs]),
        "MiB more": _median([one.memory - other.memory for one, other in pairs]),
    }


def _median(figures: Sequence[float]) -> float:
    """Return the median of what did not fail; NaN if all did."""
    found = [each for each in figures if not math.isnan(each)]
    return statistics.median(found) if found else math.nan
