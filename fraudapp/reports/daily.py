"""The daily report as data and as text: the decisions of one UTC day, summed up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final, NamedTuple

from msgspec import Struct

from fraudapp.reports import quality
from fraudapp.reports.quality import DayQuality
from models.characters import legible
from models.records import Outcome

MAX_TYPES: Final = 20
"""Types in a report, at most; the rarer ones are summed up as others."""
OTHERS: Final = "(others)"
UNKNOWN: Final = "(unknown)"
"""Of a type or a currency that a transaction does not have."""


class Cell(NamedTuple):
    """The transactions of one day that share type, decision, label and currency."""

    type: str | None
    """None where the transactions have none, as by a schema without the role `kind`."""
    decision: str
    is_fraud: int
    transactions: int
    amount: float | None
    """Sum of their amounts; None where they have none."""
    currency: str | None = None
    """None by a schema whose amounts have no currency."""


class Drift(Struct, frozen=True):
    """The difference between the scores of a model on this day and on its training data."""

    model_version: str
    scores: list[int]
    """Decisions in each bin of `models.drift.EDGES`."""
    training: list[float] | None = None
    """The share of the training data in each bin, as weights; None where it is not known."""
    stability_index: float | None = None
    """`models.drift.stability_index`; None where the scores of the training data are not known."""
    unknown: str = ""
    """The reason why they are not known; empty where they are."""
    score: int | None = None
    """Sum of the scores, each rounded to a millionth, in millionths; None in older reports."""
    is_chance: bool = False
    """Whether so few transactions differ as much by chance."""
    alarms: list[str] = []
    """What of the scores is not to be explained by chance; see `models.watch.checks`."""


class Latency(Struct, frozen=True):
    """Seconds from the moment a transaction was sent to Kafka until it was decided."""

    sample: int
    """Decisions it was measured on."""
    p50: float
    p95: float
    p99: float


class DailyReport(Struct, frozen=True):
    """The decisions of one UTC day; ratios are None where they are unknown.

    A transaction is labelled only where somebody knows: the label 0 means legitimate or not
    labelled. On a day without a single fraud label, precision and recall are unknown. On any other
    day, precision is a lower bound.
    """

    date: date
    total: int
    by_decision: dict[str, int]
    by_type: dict[str, dict[str, int]]
    """Decisions by outcome, for each transaction type that occurred."""
    amount_by_decision: dict[str, float] | None
    """None where transactions have no amounts, or those of several currencies."""
    labelled_fraud: int | None
    """Transactions labelled as fraud; None where no transaction is."""
    confusion: dict[str, dict[str, int]] | None
    """By outcome: decisions labelled as fraud, and decisions that are legitimate or not labelled.
    None where no transaction is labelled as fraud."""
    precision_block: float | None
    """Share of blocked transactions that are labelled fraud; None where no transaction is."""
    recall_block: float | None
    """Share of labelled fraud that was blocked."""
    recall_stopped: float | None
    """Share of labelled fraud that was blocked or flagged."""
    amount_by_currency: dict[str, dict[str, float]] = {}
    """By outcome, for each currency; empty by a schema whose amounts have none."""
    reasons: dict[str, int] = {}
    """Decisions by code of their reasons, the most frequent first."""
    drift: list[Drift] = []
    """One for each model that decided that day."""
    dead_letters: dict[str, int] | None = None
    """By reason; None if the broker could not be asked."""
    quality: DayQuality | None = None
    """By the labels that have come since; None if there is none."""
    latency: Latency | None = None
    """None if the broker could not be asked, or has none of the transactions any more."""


def summarise(day: date, cells: Iterable[Cell]) -> DailyReport:
    """Sum up the cells of a day; drift, dead letters and latency are left empty."""
    outcomes = [outcome.value for outcome in Outcome]
    counts = dict.fromkeys(outcomes, 0)
    amounts: dict[str | None, dict[str, float]] = {}
    confusion = {outcome: {"fraud": 0, "legitimate": 0} for outcome in outcomes}
    types: dict[str, dict[str, int]] = {}
    for cell in cells:
        counts[cell.decision] += cell.transactions
        if cell.amount is not None:
            sums = amounts.setdefault(cell.currency or None, dict.fromkeys(outcomes, 0.0))
            sums[cell.decision] += cell.amount
        confusion[cell.decision]["fraud" if cell.is_fraud else "legitimate"] += cell.transactions
        kind = cell.type or UNKNOWN
        types.setdefault(kind, dict.fromkeys(outcomes, 0))[cell.decision] += cell.transactions
    if not any(counts.values()):
        amounts[None] = dict.fromkeys(outcomes, 0.0)
    fraud = sum(row["fraud"] for row in confusion.values())
    blocked, flagged = confusion["BLOCK"]["fraud"], confusion["FLAG"]["fraud"]
    return DailyReport(
        date=day,
        total=sum(counts.values()),
        by_decision=counts,
        by_type={} if types.keys() == {UNKNOWN} else _most(types),
        amount_by_decision=next(iter(amounts.values())) if len(amounts) == 1 else None,
        amount_by_currency={
            currency or UNKNOWN: sums
            for currency, sums in sorted(amounts.items(), key=lambda each: each[0] or "")
        }
        if amounts.keys() - {None}
        else {},
        labelled_fraud=fraud or None,
        confusion=confusion if fraud else None,
        precision_block=_ratio(blocked, counts["BLOCK"]) if fraud else None,
        recall_block=_ratio(blocked, fraud),
        recall_stopped=_ratio(blocked + flagged, fraud),
    )


def _most(types: Mapping[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """Return the types in order, the rarest of too many summed up as others."""
    by_size = sorted(types, key=lambda name: (-sum(types[name].values()), name))
    named = by_size if len(by_size) <= MAX_TYPES else by_size[: MAX_TYPES - 1]
    found = {name: types[name] for name in sorted(named)}
    if rest := [types[name] for name in by_size[len(named) :]]:
        found[OTHERS] = {outcome: sum(row[outcome] for row in rest) for outcome in rest[0]}
    return found


def as_text(report: DailyReport) -> str:
    """Return the report as text; control characters for a terminal are escaped."""
    return "\n".join(map(legible, _lines(report)))


def _lines(report: DailyReport) -> list[str]:
    if not report.total:
        return [f"No decisions were made on {report.date} (UTC).", _dead_letters(report)]
    lines = [f"Decisions of {report.date} (UTC): {report.total:,}", ""]
    amounts = report.amount_by_decision
    heading = f"{'amount':>22}" if amounts else ""
    lines.append(f"{'':10}{'count':>12}{heading}{'labelled fraud':>16}")
    for outcome, count in report.by_decision.items():
        fraud = f"{report.confusion[outcome]['fraud']:,}" if report.confusion else "unknown"
        amount = f"{amounts[outcome]:22,.2f}" if amounts else ""
        lines.append(f"{outcome:10}{count:12,}{amount}{fraud:>16}")
    lines += _table("", report.by_type, ",")
    lines += _table("amount in", report.amount_by_currency, ",.2f")
    return [*lines, "", *_labels(report), *quality.lines(report.quality), "", *remarks(report)]


def _table(name: str, rows: Mapping[str, Mapping[str, float]], form: str) -> list[str]:
    """Return a line for each row, and those above it; nothing if there are no rows."""
    if not rows:
        return []
    first, width = max(map(len, [*rows, name, " " * 9])) + 1, 12 if form == "," else 22
    outcomes = next(iter(rows.values()))
    lines = ["", f"{name:{first}}" + "".join(f"{outcome:>{width}}" for outcome in outcomes)]
    for label, row in rows.items():
        lines.append(
            f"{label:{first}}" + "".join(f"{value:{width}{form}}" for value in row.values())
        )
    return lines


def _labels(report: DailyReport) -> list[str]:
    """Return the sentences on labels; without any label, that precision is unknown."""
    labelled, blocked = report.labelled_fraud, report.by_decision["BLOCK"]
    if report.recall_block is None or report.recall_stopped is None:
        return [
            "No transaction is labelled as fraud: how much fraud was blocked, and how many of "
            f"the {blocked:,} blocked are fraud, is unknown."
        ]
    lines = [
        f"Of {labelled:,} labelled as fraud, {report.recall_block:.1%} were blocked and "
        f"{report.recall_stopped:.1%} blocked or flagged."
    ]
    if report.precision_block is not None:
        lines.append(
            f"Of {blocked:,} blocked, {report.precision_block:.1%} are labelled as fraud; the "
            "others are legitimate or not labelled."
        )
    return lines


def by_count(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the same counts, the largest first."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def remarks(report: DailyReport) -> list[str]:
    """Return the sentences on reasons, drift, latency and dead letters."""
    lines = [f"Reasons: {_listed(report.reasons) or 'none'}."]
    for each in report.drift:
        index = each.stability_index
        drift = each.unknown if index is None else f"{index:.3f} ({_reading(index, each)})"
        lines.append(f"Drift of the scores of {each.model_version} (PSI): {drift}.")
        lines += [f"ALARM of {each.model_version}: {alarm}." for alarm in each.alarms]
    if report.latency is None:
        lines.append("Latency: not available, the transactions are not in Kafka or it is down.")
    else:
        p50, p95, p99 = (
            f"{seconds:.3f} s"
            for seconds in (report.latency.p50, report.latency.p95, report.latency.p99)
        )
        lines.append(
            f"Latency from being sent to being decided: median {p50}, 95% within {p95}, 99% within "
            f"{p99} (a sample of {report.latency.sample:,})."
        )
    return [*lines, _dead_letters(report)]


def _dead_letters(report: DailyReport) -> str:
    letters = report.dead_letters
    if letters is None:
        return "Dead letters: unknown, the broker could not be reached."
    return f"Dead letters: {_listed(letters) or 'none'}."


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _reading(index: float, drift: Drift) -> str:
    if index < 0.1:
        return "stable"
    if drift.is_chance:
        return "too few transactions to tell"
    return "shifted" if index < 0.25 else "drifted"


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
