"""The daily report as files: a page with plots, and a table for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from html import escape
from itertools import pairwise
from typing import Final

from fraudapp.reports import quality
from fraudapp.reports.charts import bars
from fraudapp.reports.daily import DailyReport, Drift, as_text
from models.drift import EDGES

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 760px; margin: 2em auto; color: #222 }
h1 { font-size: 1.5em } h2 { font-size: 1.1em; margin-top: 2em }
svg { max-width: 100%; height: auto; font-size: 12px } pre { overflow-x: auto; line-height: 1.35 }
"""


def as_html(report: DailyReport) -> str:
    """Return the report as a self-contained page; the same bytes for the same report."""
    title = f"Fraud decisions of {report.date} (UTC)"
    plots = "".join(f"<h2>{escape(name)}</h2>{plot}" for name, plot in _plots(report))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f"<pre>{escape(as_text(report))}</pre>{plots}</body></html>\n"
    )


def as_csv(report: DailyReport) -> str:
    """Return the report as rows of section, name, measure and value; unknown values are empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("date", "section", "name", "measure", "value"))
    for row in _rows(report):
        writer.writerow((report.date, *row))
    return out.getvalue()


def _plots(report: DailyReport) -> Iterator[tuple[str, str]]:
    if not report.total:
        return
    outcomes = list(report.by_decision)
    yield "Decisions", bars(outcomes, {"decisions": list(report.by_decision.values())})
    if amounts := report.amount_by_decision:
        yield "Amounts", bars(outcomes, {"amount": list(amounts.values())})
    if types := report.by_type:
        by_outcome = {outcome: [row[outcome] for row in types.values()] for outcome in outcomes}
        yield "Decisions by type", bars(list(types), by_outcome)
    if report.reasons:
        counts = list(report.reasons.values())
        yield (
            "Reasons of decisions that were not approvals",
            bars(list(report.reasons), {"decisions": counts}),
        )
    for each in report.drift:
        yield f"Scores of {each.model_version}, per cent", _scores(each)
    if report.dead_letters:
        letters = report.dead_letters
        yield "Dead letters", bars(list(letters), {"letters": list(letters.values())})


def _scores(drift: Drift) -> str:
    ends = [f"{edge:g}" for edge in (0.0, *EDGES, 1.0)]
    labels = [f"{low} to {high}" for low, high in pairwise(ends)]
    series = {"this day": _percent(drift.scores)}
    if drift.training:
        series["training data"] = _percent(drift.training)
    return bars(labels, series, "%")


def _percent(counts: list[int] | list[float]) -> list[float]:
    whole = sum(counts)
    return [round(100 * count / whole, 2) for count in counts]


def _rows(report: DailyReport) -> Iterator[tuple[str, str, str, object]]:
    yield "day", "", "decisions", report.total
    for outcome, count in report.by_decision.items():
        yield "decision", outcome, "decisions", count
        yield "decision", outcome, "amount", (report.amount_by_decision or {}).get(outcome)
        fraud = report.confusion[outcome]["fraud"] if report.confusion else None
        yield "decision", outcome, "labelled fraud", fraud
    for type_, row in report.by_type.items():
        for outcome, count in row.items():
            yield "type", type_, outcome, count
    for currency, sums in report.amount_by_currency.items():
        for outcome, amount in sums.items():
            yield "amount", currency, outcome, amount
    yield "labels", "BLOCK", "precision", report.precision_block
    yield "labels", "BLOCK", "recall", report.recall_block
    yield "labels", "BLOCK or FLAG", "recall", report.recall_stopped
    yield from quality.rows(report.quality)
    for code, count in report.reasons.items():
        yield "reason", code, "decisions", count
    for each in report.drift:
        yield "drift", each.model_version, "PSI", each.stability_index
        yield "drift", each.model_version, "alarms", len(each.alarms)
    for reason, count in (report.dead_letters or {}).items():
        yield "dead letters", reason, "letters", count
    letters = report.dead_letters
    yield "dead letters", "", "letters", None if letters is None else sum(letters.values())
    for measure in ("sample", "p50", "p95", "p99"):
        yield "latency", "", measure, getattr(report.latency, measure, None)
