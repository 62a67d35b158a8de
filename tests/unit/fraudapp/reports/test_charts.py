"""Charts are well-formed, true to their numbers, and the same each time."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.reports.charts import COLOURS, bars

SVG = "{http://www.w3.org/2000/svg}"
printable = st.text(st.characters(min_codepoint=32, exclude_categories=["Cc", "Cs", "Cn"]))
values = st.floats(0, 1e12)


@st.composite
def charts(draw: st.DrawFn) -> tuple[list[str], dict[str, list[float]]]:
    labels = draw(st.lists(printable, max_size=6))
    names = draw(st.lists(printable, min_size=1, max_size=len(COLOURS), unique=True))
    rows = st.lists(values, min_size=len(labels), max_size=len(labels))
    return labels, {name: draw(rows) for name in names}


def elements(svg: str, kind: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter(f"{SVG}{kind}"))


def texts(svg: str) -> list[str]:
    return [each.text or "" for each in elements(svg, "text")]


def bars_of(svg: str) -> list[ElementTree.Element]:
    """Return the bars, without the squares of the legend."""
    return [
        each for each in elements(svg, "rect") if each.get("x") == "190" and each.get("y") != "2"
    ]


@given(charts(), printable)
def test_every_label_name_and_number_is_in_the_chart(
    chart: tuple[list[str], dict[str, list[float]]], unit: str
) -> None:
    labels, series = chart
    svg = bars(labels, series, unit)
    shown = texts(svg)
    assert len(shown) == len(labels) * (1 + len(series)) + len(series) * (len(series) > 1)
    assert set(labels) <= set(shown)
    assert len(series) == 1 or shown[: len(series)] == list(series)
    assert sum(each.endswith(unit) for each in shown) >= len(labels) * len(series)
    assert svg == bars(labels, dict(series), unit)


@given(charts())
def test_bars_are_as_long_as_their_numbers_and_inside_the_chart(
    chart: tuple[list[str], dict[str, list[float]]],
) -> None:
    labels, series = chart
    svg = bars(labels, series)
    drawn = bars_of(svg)
    expected = [row for rows in zip(*series.values(), strict=True) for row in rows]
    assert len(drawn) == len(expected)
    largest = max(expected, default=0.0)
    widths = [float(each.get("width") or "nan") for each in drawn]
    for width, value in zip(widths, expected, strict=True):
        assert width == pytest.approx(420 * value / largest if largest else 0, abs=0.06)
    height = float(ElementTree.fromstring(svg).get("height") or "nan")
    ends = [float(each.get("y") or "nan") + float(each.get("height") or "nan") for each in drawn]
    assert all(0 < end <= height for end in ends)
    assert ends == sorted(set(ends))  # no bar is over another


def test_a_number_is_shown_with_its_unit_and_no_needless_digits() -> None:
    shown = texts(bars(["a", "b", "c"], {"share": [1234.0, 1234.567, 0.0]}, " %"))
    assert shown == ["a", "1,234 %", "b", "1,234.57 %", "c", "0 %"]


def test_names_of_others_are_text_and_no_markup() -> None:
    hostile = '<script>alert("x")</script>&amp;'
    svg = bars([hostile], {hostile: [1.0], "other": [2.0]}, hostile)
    assert "<script" not in svg
    assert texts(svg)[0] == texts(svg)[2] == hostile


def test_each_series_has_a_colour_which_the_legend_tells() -> None:
    svg = bars(["a", "b"], {"one": [1.0, 2.0], "two": [3.0, 4.0]})
    colours = [each.get("fill") for each in elements(svg, "rect")]
    assert colours == list(COLOURS[:2]) * 3
    assert len(elements(bars(["a"], {"one": [1.0]}), "rect")) == 1  # one series needs no legend
