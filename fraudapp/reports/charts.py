"""Bar charts as inline SVG: no library, no script, and the same bytes for the same numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

COLOURS: Final = ("#2f6f9f", "#d98c2b", "#b3362b", "#6a8f3c", "#7d6ba0")
_LABEL, _WIDTH, _VALUE, _BAR, _GAP = 190, 420, 110, 14, 10  # pixels


def bars(labels: Sequence[str], series: Mapping[str, Sequence[float]], unit: str = "") -> str:
    """Return horizontal bars: one group for each label, with one bar for each series.

    A negative value has no bar. Each series has as many values as there are labels; `unit` follows
    each number.
    """
    largest = max((value for values in series.values() for value in values), default=0) or 1
    group = _BAR * len(series) + _GAP
    parts = [_legend(list(series))] if len(series) > 1 else []
    top = 24 if parts else 0
    for row, label in enumerate(labels):
        y = top + row * group
        middle = y + _BAR * len(series) / 2
        parts.append(_text(_LABEL - 8, middle, label, "end"))
        for place, values in enumerate(series.values()):
            parts.append(_bar(y + place * _BAR, values[row], largest, COLOURS[place], unit))
    height = top + len(labels) * group
    width = _LABEL + _WIDTH + _VALUE
    return (
        f'<svg role="img" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def _bar(y: float, value: float, largest: float, colour: str, unit: str) -> str:
    width = _WIDTH * max(0.0, value) / largest
    shown = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"
    return (
        f'<rect x="{_LABEL}" y="{y:g}" width="{width:.1f}" height="{_BAR - 2}" fill="{colour}"/>'
        + _text(_LABEL + width + 5, y + _BAR / 2 - 1, shown + unit, "start")
    )


def _legend(names: Sequence[str]) -> str:
    return "".join(
        f'<rect x="{_LABEL + 130 * place}" y="2" width="12" height="12" '
        f'fill="{COLOURS[place]}"/>' + _text(_LABEL + 130 * place + 17, 8, name, "start")
        for place, name in enumerate(names)
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" dominant-baseline="central">'
        f"{escape(text)}</text>"
    )
