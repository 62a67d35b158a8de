"""Results as text: the tables of the README, and the line that programs read."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Measured = Mapping[str, Any]


def last_line(measured: Measured) -> str:
    """The summary; `nan` stands for what could not be measured."""
    names = ("of_raw", "over_best_peer", "over_naive", "over_stock_faust")
    figures = " ".join(f"{name}={measured['ratios'][name]:.3g}" for name in names)
    p99 = measured.get("latency", {}).get("500", {}).get("p99", float("nan"))
    return f"bench: {figures} p99_ms_at_500={p99:.1f}"


def markdown(measured: Measured) -> str:
    """All tables, with what they were measured on."""
    where = measured["surroundings"]
    parts = [
        f"{where['cpu']}; {where['kafka']}, {where['postgres']}, {where['redis']}, {where['s3']}, "
        f"Python {where['python']}; commit {where['commit']}; load before: {where['load']}.",
        *((_rates(measured), _ratios(measured)) if measured["rates"] else ()),
        _latency(measured.get("latency", {})),
        _growth(measured.get("growth", {})),
        _stages(measured.get("stages", {})),
        _schemas(measured.get("schemas", {})),
        _policies(measured.get("policies", {})),
    ]
    return "\n\n".join(part for part in parts if part)


def medians(measured: Measured) -> dict[str, float]:
    """Median rate of each contender, the quickest first; those that failed are left out."""
    found = {name: statistics.median(rates) for name, rates in measured["rates"].items()}
    return dict(sorted(((n, r) for n, r in found.items() if r), key=lambda pair: -pair[1]))


def _rates(measured: Measured) -> str:
    rows = ((name, f"{rate:,.0f}") for name, rate in medians(measured).items())
    return _table(("backlog", "events/s"), rows)


def _ratios(measured: Measured) -> str:
    ratios, best = measured["ratios"], measured["best_peer"]
    named = (
        ("of the raw loop", "of_raw"),
        (f"over the best peer ({best})", "over_best_peer"),
        ("over the naive loop", "over_naive"),
        ("over stock Faust", "over_stock_faust"),
        ("without sinks, of the raw loop without sinks", "alone_of_raw"),
        ("without sinks, over stock Faust without sinks", "alone_over_stock_faust"),
    )
    rows = ((text, f"{ratios[name]:.3g}") for text, name in named)
    return _table(("fraudapp", "ratio"), rows)


def _latency(latency: Mapping[str, Mapping[str, float]]) -> str:
    columns = ("p50", "p99", "p99.9")
    rows = (
        (f"{int(rate):,}", *(f"{each[name]:.1f}" for name in columns), f"{each['samples']:.0f}")
        for rate, each in latency.items()
    )
    head = ("events/s", *(f"{name}, ms" for name in columns), "requests asked a round")
    return _table(head, rows) if latency else ""


def _growth(growth: Mapping[str, Any]) -> str:
    rows = [(name, f"{value:,.4g}") for name, value in growth.items()]
    return _table(("growth", "measured"), rows) if rows else ""


def _stages(stages: Mapping[str, float]) -> str:
    rows = ((name, f"{value:.2f}") for name, value in stages.items())
    return _table(("stage, batches of 500", "µs an event"), rows) if stages else ""


def _schemas(schemas: Mapping[str, Any]) -> str:
    if not schemas:
        return ""
    names = list(schemas["stages"])
    rows = [
        (stage, *(f"{schemas['stages'][name][stage]:.2f}" for name in names))
        for stage in schemas["stages"][names[0]]
    ]
    rates = (f"{statistics.median(schemas['rates'][name]):,.0f}" for name in names)
    ratios = (f"{schemas['ratios'].get(name, 1.0):.2f}" for name in names)
    raw = schemas["of_raw"]
    of_raw = (f"{raw[name]:.2f}" if name in raw else "" for name in names)
    rows += [
        ("events/s, all sinks", *rates),
        ("of PaySim's", *ratios),
        ("of the raw loop on the same", *of_raw),
    ]
    return _table(("µs an event, by schema", *names), rows)


def _policies(policies: Mapping[str, Any]) -> str:
    if not policies:
        return ""
    without, under = policies["without"], policies["under"]
    rows = [(name, _figure(without[name]), _figure(under[name])) for name in under]
    rows += [(name, "", _figure(value)) for name, value in policies["figures"].items()]
    head = ("policy", "none", f"100 rules, lists of {policies['entries']:,} in all")
    return _table(head, rows)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
