"""The rates as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tests.benchmarks.contenders import ALL_CONTENDERS, OURS
from tests.benchmarks.report import medians

OURS_COLOR, OTHERS_COLOR = "#1f6f54", "#9aa5b1"


def draw(measured: Mapping[str, Any], path: Path) -> None:
    """Write bars of the median rates, with all sinks on, as PNG."""
    storing = {each.name for each in ALL_CONTENDERS if each.sinks}
    rates = {name: rate for name, rate in medians(measured).items() if name in storing}
    names = list(rates)[::-1]
    figure = Figure(figsize=(8, 0.5 + 0.45 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    colors = [OURS_COLOR if name == OURS.name else OTHERS_COLOR for name in names]
    bars = axes.barh(names, [rates[name] for name in names], color=colors)
    axes.bar_label(bars, fmt="{:,.0f}", padding=4)
    axes.margins(x=0.12)
    axes.set_xlabel("events/s, kept in Redis, Postgres and S3")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
