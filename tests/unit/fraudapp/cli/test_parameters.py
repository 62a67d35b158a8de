"""A finite number is taken from the command line if it is in range, and nothing else is."""

from __future__ import annotations

import math

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.cli.parameters import Finite


@given(number=st.floats(), low=st.none() | st.floats(-1e9, 0), high=st.none() | st.floats(0, 1e9))
def test_a_number_is_taken_if_it_is_finite_and_in_range(
    number: float, low: float | None, high: float | None
) -> None:
    kind = Finite(min=low, max=high)
    in_range = (low is None or low <= number) and (high is None or number <= high)
    for value in (number, repr(number)):
        if math.isfinite(number) and in_range:
            assert kind.convert(value, None, None) == number
        else:
            with pytest.raises(click.BadParameter):
                kind.convert(value, None, None)


@pytest.mark.parametrize("text", ["", "ten", "1,5", "0x10"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="not a valid float"):
        Finite().convert(text, None, None)


@pytest.mark.parametrize("text", ["1e999", "-Infinity", "NaN"])
def test_the_message_repeats_the_number_that_is_not_finite(text: str) -> None:
    with pytest.raises(click.BadParameter, match=f"{text} is not a finite number"):
        Finite().convert(text, None, None)
