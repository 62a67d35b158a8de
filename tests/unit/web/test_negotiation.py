"""`Accept` headers are read as clients write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.negotiation import weights


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], None),
        ([""], {}),
        (["a/b"], {"a/b": 1.0}),
        (["a/b;q=0.5", "C/D"], {"a/b": 0.5, "c/d": 1.0}),
        ([" a/b ; Q=0 ,, */* ; q=1.000 "], {"a/b": 0.0, "*/*": 1.0}),
        (['a/b;x="c/d,;q=0";q=0.3'], {"a/b": 0.3}),
        (["a/b;level=1, a/b;q=0"], {"a/b": 0.0}),
        (["a/b;charset=utf-8;q=0.2"], {"a/b": 0.2}),
        (["a/b;q=0.5;extension=x"], {"a/b": 0.5}),
        (["a/b;q=2"], None),
        (["a/b;q=-1"], None),
        (["a/b;q=nan"], None),
        (["a/b;q="], None),
        (['a/b;x="open'], None),
        (["a b"], None),
        (["a/b/c"], None),
    ],
)
def test_each_range_has_its_weight_and_what_is_malformed_says_nothing(
    fields: list[str], expected: dict[str, float] | None
) -> None:
    assert weights(fields) == expected


@given(st.lists(st.text(alphabet=' \t,;="\\q01.*/aé', max_size=40), max_size=3))
def test_any_header_is_weighed(fields: list[str]) -> None:
    found = weights(fields)
    assert found is None or all(0 <= weight <= 1 for weight in found.values())


def test_the_cost_of_parsing_grows_linearly_with_the_length() -> None:
    # Quadratic time would exceed the timeout of a test.
    for text in ('"\\', "; ", ", ;", "a", '"a" '):
        weights([text * (1_000_000 // len(text)) + "\x00"])
