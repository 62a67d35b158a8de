"""The comparison of two models as text."""

from __future__ import annotations

from collections.abc import Iterator

from models.activity import OUTCOMES
from models.characters import legible
from models.comparing.comparison import Compared, Model
from models.comparing.quality import Figure, Interval
from models.drift import EDGES

_NAMES = [each.value for each in OUTCOMES]


def as_text(found: Compared) -> str:
    """Return the comparison for people; A is the one, B the other."""
    return "\n".join(_lines(found))


def _lines(found: Compared) -> Iterator[str]:
    yield f"A {legible(found.one.version)}"
    yield f"B {legible(found.other.version)}"
    yield (
        f"{found.rows:,} transactions that both have scored, on {found.days:,} days from "
        f"{found.first.isoformat()} to {found.last.isoformat()}"
    )
    agree = found.agreement
    yield f"same outcome: {agree.value:.4%} ({agree.low:.4%} to {agree.high:.4%})"
    for title, table, form in (("rows", found.counts, ",.0f"), ("amounts", found.amounts, ",.2f")):
        yield ""
        yield f"{title:10}" + "".join(f"{'B ' + each:>22}" for each in _NAMES)
        for name in _NAMES:
            yield f"A {name:8}" + "".join(f"{table[name][each]:22{form}}" for each in _NAMES)
    yield ""
    for letter, model in (("A", found.one), ("B", found.other)):
        yield from _of_model(letter, model)
    yield f"stability index of the scores of B against those of A: {found.psi:.4f}"
    yield from _scores(found)
    yield ""
    yield from _quality(found)
    if found.notes:
        yield ""
        yield from map(legible, found.notes)


def _of_model(letter: str, model: Model) -> Iterator[str]:
    share = model.block_share
    yield f"{letter} blocks {share.value:.4%} ({share.low:.4%} to {share.high:.4%})"
    if model.psi_of_training is not None:
        yield f"  stability index of its scores against its training: {model.psi_of_training:.4f}"


def _scores(found: Compared) -> Iterator[str]:
    yield ""
    yield f"{'score':>12}{'A':>14}{'B':>14}"
    for below, one, other in zip((0.0, *EDGES), found.one.scores, found.other.scores, strict=True):
        yield f"{f'from {below:g}':>12}{one:14,.0f}{other:14,.0f}"


def _quality(found: Compared) -> Iterator[str]:
    yield f"of {found.labelled:,} it is known what they were: {found.frauds:,} frauds"
    if not found.quality:
        return
    at = ", ".join(f"{name} at {each:g}" for name, each in found.thresholds.items())
    yield f"thresholds: {at}; intervals are of 95 % by paired bootstrap"
    yield f"{'':20}{'A':>28}{'B':>28}{'B - A':>30}"
    for name, each in found.quality.items():
        yield f"{name:20}{_figures(each)}"


def _figures(figure: Figure) -> str:
    parts = ((figure.one, 28), (figure.other, 28), (figure.difference, 30))
    return "".join(f"{_interval(each):>{width}}" for each, width in parts)


def _interval(each: Interval | None) -> str:
    return "unknown" if each is None else f"{each.value:.4f} ({each.low:.4f} to {each.high:.4f})"
