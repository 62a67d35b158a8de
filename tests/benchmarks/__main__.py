"""The benchmarks: `make bench`, or `QUICK=1 make bench`.

    python -m tests.benchmarks [--plan full|quick|tiny] [--out FILE.json] [--plot FILE.png]
                               [--only throughput|latency|growth|stages|schemas|policies ...]
    python -m tests.benchmarks --readme [FILE.json]

Prints what it finds as it goes, and writes it as JSON and as a plot. The last line is
`bench: of_raw=R over_best_peer=R over_naive=R over_stock_faust=R p99_ms_at_500=MS`.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

import click

from tests.benchmarks import growth, policies, report, schemas, stages
from tests.benchmarks.backlog import make_topic
from tests.benchmarks.latency import latencies
from tests.benchmarks.plan import PLANS, Plan
from tests.benchmarks.plot import draw
from tests.benchmarks.rounds import NOT_COMPARED, compare
from tests.benchmarks.stack import Stack, namespace, running
from tests.benchmarks.surroundings import surroundings

RESULTS: Final = Path(".cache/bench")
LONG_PARTS: Final = ("schemas", "policies")
"""What is measured in a full run only, or when it is named."""
PARTS: Final = ("throughput", "latency", "growth", "stages", *LONG_PARTS)
"""What is measured."""


@click.command()
@click.option("--plan", "size", type=click.Choice(list(PLANS)), default="full", show_default=True)
@click.option(
    "--only",
    "parts",
    multiple=True,
    type=click.Choice(PARTS),
    help="Measure that; repeatable.",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="JSON of the results.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="PNG of the rates.")
@click.option(
    "--readme", is_flag=True, help="Measure nothing: print a result's tables as Markdown."
)
@click.argument("result", required=False, type=click.Path(dir_okay=False, path_type=Path))
def main(
    size: str,
    parts: Sequence[str],
    out: Path | None,
    plot: Path | None,
    readme: bool,
    result: Path | None,
) -> None:
    """Measure the worker, its limit and its peers on this machine."""
    if readme:
        click.echo(report.markdown(json.loads((result or _latest()).read_text())))
        return
    # As Ctrl-C: the servers are stopped, and their folders removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parts = parts or (PARTS if size == "full" else PARTS[: -len(LONG_PARTS)])
    measured = {"plan": size, **_measure(PLANS[size], parts)}
    started = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
    out = out or RESULTS / f"{started}-{size}.json"
    plot = plot or out.with_suffix(".png")
    for path in (out, plot):
        path.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(measured, indent=1))
    if measured["rates"]:
        draw(measured, plot)
    click.echo(report.markdown(measured))
    click.echo(f"written: {out}" + (f" and {plot}" if measured["rates"] else ""))
    click.echo(report.last_line(measured))


def _measure(plan: Plan, parts: Sequence[str]) -> dict[str, Any]:
    begin = time.monotonic()

    def say(line: str) -> None:
        click.echo(f"[{time.monotonic() - begin:5.0f} s] {line}")

    where = surroundings()
    for name, value in where.items():
        click.echo(f"{name:10} {value}")
    measured: dict[str, Any] = {"surroundings": where, **NOT_COMPARED}
    with running(say, plan) as stack:
        # First: after the others the machine writes gigabytes to its disk for minutes.
        if "latency" in parts:
            say("latency from produce to decision over HTTP")
            measured["latency"] = latencies(stack, plan, say)
        if "throughput" in parts:
            measured |= compare(stack, plan, say)
        if "growth" in parts:
            measured["growth"] = growth.measure(stack, plan, say)
        if "stages" in parts and plan.thorough:
            measured["stages"] = _stages(stack, say)
        if "schemas" in parts and plan.thorough:
            measured["schemas"] = schemas.measure(stack, plan, say)
        if "policies" in parts:
            measured["policies"] = policies.measure(stack, plan, say)
    return measured


def _stages(stack: Stack, say: Callable[[str], None]) -> stages.Costs:
    say("stages")
    with namespace(stack, make_topic(stack.broker, 4), 4) as own:
        return stages.computing(stack.trained) | stages.storing(own, stack.trained)


def _latest() -> Path:
    found = sorted(RESULTS.glob("*.json"))
    if not found:
        raise click.ClickException(f"no result in {RESULTS}; run `make bench` first")
    return found[-1]


if __name__ == "__main__":
    main()
