"""Plots of an evaluation. They are a module of their own because only they need matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from models.training.columns import Floats
from models.training.dataset import Labelled
from models.training.metrics import costs, precision_recall


class PlotsUnavailable(ImportError):
    """matplotlib is not installed; the message says how to install it."""


def save_plots(report: dict[str, Any], rows: Labelled, scores: Floats, out: Path) -> list[Path]:
    """Write four PNG files into the directory `out` and return their paths.

    Takes what `models.training.evaluation.evaluate` returns. Raises `PlotsUnavailable`.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PlotsUnavailable("plots need matplotlib; pip install 'fraudapp[plots]'") from error
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for draw in (precision_recall_plot, reliability_plot, histogram_plot, cost_plot):
        figure = Figure(figsize=(6.0, 4.5), layout="constrained")
        draw(figure.add_subplot(), report, rows, scores)
        written.append(out / f"{draw.__name__.removesuffix('_plot')}.png")
        figure.savefig(written[-1], dpi=120)
    return written


def precision_recall_plot(
    axes: Any, report: dict[str, Any], rows: Labelled, scores: Floats
) -> None:
    """Precision over recall, with the drain rule and the thresholds as points."""
    precision, recall, _ = precision_recall(rows.fraud, scores, rows.weight)
    label = f"model, average precision {report['average_precision']:.3f}"
    axes.step(recall, precision, where="post", label=label)
    if rows.drained is not None:
        rule = precision_recall(rows.fraud, rows.drained.astype(np.float64), rows.weight)
        axes.plot(rule[1][0], rule[0][0], "s", label="amount = balance")
    for name, threshold in report["thresholds"].items():
        at = (report[f"recall_{name}"], report[f"precision_{name}"])
        axes.plot(*at, "o", label=f"{name} at {threshold:g}")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.05))
    axes.set_title(f"Fraud rate {report['fraud_rate']:.3%}")
    axes.legend()


def reliability_plot(axes: Any, report: dict[str, Any], rows: Labelled, scores: Floats) -> None:
    """Share of fraud over mean score, in bins of log-odds; larger points stand for more rows."""
    clipped = np.clip(scores, 1e-6, 1 - 1e-6)
    bins = np.digitize(np.log(clipped / (1 - clipped)), np.arange(-9.0, 10.0, 2.0))
    for number in np.unique(bins):
        inside = bins == number
        weight = rows.weight[inside]
        mean = float(np.average(scores[inside], weights=weight))
        share = float(np.average(rows.fraud[inside], weights=weight))
        axes.scatter(mean, share, s=15.0 * np.log10(1.0 + weight.sum()), color="C0", alpha=0.7)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    axes.set(xlabel="mean score", ylabel="share of fraud")
    axes.set_title(f"Expected over actual fraud: {report['sum_p_over_sum_y']:.2f}")


def histogram_plot(axes: Any, report: dict[str, Any], rows: Labelled, scores: Floats) -> None:
    """Histogram of the scores of both classes, with counts on a log scale."""
    for name, chosen in (("legitimate", ~rows.fraud), ("fraud", rows.fraud)):
        bins = np.linspace(0.0, 1.0, 41)
        axes.hist(scores[chosen], bins, weights=rows.weight[chosen], alpha=0.6, label=name)
    axes.set(xlabel="score", ylabel="transactions", yscale="log")
    axes.set_title(f"{report['rows']:,} rows")
    axes.legend()


def cost_plot(axes: Any, report: dict[str, Any], rows: Labelled, scores: Floats) -> None:
    """Cost over the threshold: missed fraud, and work on alarms."""
    grid = np.linspace(0.01, 0.99, 99)
    axes.plot(grid, costs(rows, scores, grid, report["alarm_cost"]))
    axes.axvline(report["cheapest_threshold"], color="grey", linewidth=1)
    axes.set(xlabel="threshold", ylabel="account currency")
    axes.set_title(f"Fraud let through, plus {report['alarm_cost']:,.0f} for each alarm")
