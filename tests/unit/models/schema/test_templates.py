"""A template that is accepted can be filled from every transaction there may be."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.schema import templates
from models.schema.definition import ID, Definition, Feature, Field
from models.schema.fields import hint
from models.schema.schema import Schema
from tests.unit.models.schema.making import fields, values

SPECS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", ","]),
    st.sampled_from(["", ".0", ".2", ".3", ".20", ".99", ".100", "."]),
    st.sampled_from(["", "f", "%", "e", "g", "d", "s", "n", "b", "_"]),
)
SIZES = (0, 5e-324, 1e-300, 0.5, 1, 1e15)
"""Numbers at the ends of what a field may have."""


def definition(**fields: Field) -> Definition:
    known = {ID: Field(type="text", role="id"), "u_": Field(type="amount"), **fields}
    return Definition(name="made", fields=known, features={"log_u": Feature(log="u_")})


def filled(template: str, schema: Schema, **values: Any) -> str:
    known = {ID: "a", "u_": 1.0, **values}
    return templates.compiled(template, schema.definition)(schema.transaction(**known))


@pytest.fixture(scope="module")
def numbers() -> Schema:
    number = Field(type="number", optional=True)
    whole = Field(type="number", optional=True, whole=True)
    return Schema(definition(a=number, b=number, n=whole))


@given(st.data(), SPECS)
def test_what_is_accepted_for_a_field_formats_all_its_values(
    data: st.DataObject, spec: str
) -> None:
    field = data.draw(fields("x"))
    schema = Schema(definition(x_=field))
    template = f"x is {{x_:{spec}}}."
    if not [*templates.problems(template, schema.definition)]:
        value = msgspec.convert(data.draw(values(field)), hint(field))
        text = filled(template, schema, x_=value)
        assert text == f"x is {templates.UNKNOWN if value is None else format(value, spec)}."


@given(st.sampled_from(SIZES), st.sampled_from([1, -1]), SPECS, st.sampled_from(["a", "n"]))
@example(1, 1, ".2", "n")
def test_the_smallest_and_largest_numbers_are_formatted(
    numbers: Schema, size: float, sign: int, spec: str, name: str
) -> None:
    value = int(sign * size) if name == "n" else float(sign * size)
    template = f"{{{name}:{spec}}}"
    if not [*templates.problems(template, numbers.definition)]:
        assert filled(template, numbers, **{name: value}) == format(value, spec)


sizes = st.none() | st.builds(math.copysign, st.sampled_from(SIZES), st.sampled_from([1, -1]))


@given(sizes, sizes, SPECS)
def test_a_ratio_is_formatted_or_unknown(
    numbers: Schema, one: float | None, other: float | None, spec: str
) -> None:
    template = f"{{a/b:{spec}}}"
    if [*templates.problems(template, numbers.definition)]:
        return
    is_known = one is not None and other and abs(one) <= 1e300 * abs(other)
    assert (filled(template, numbers, a=one, b=other) == templates.UNKNOWN) is not is_known


@given(sizes, sizes, SPECS)
def test_what_a_ratio_leaves_of_one_is_formatted_or_unknown(
    numbers: Schema, one: float | None, other: float | None, spec: str
) -> None:
    template = f"{{1-a/b:{spec}}}"
    if [*templates.problems(template, numbers.definition)]:
        return
    is_known = one is not None and other and abs(one) <= 1e300 * abs(other)
    assert (filled(template, numbers, a=one, b=other) == templates.UNKNOWN) is not is_known


def test_amounts_that_are_equal_but_for_the_last_bit_leave_nothing(numbers: Schema) -> None:
    assert filled("{1-a/b:.1%}", numbers, a=0.1 + 0.2, b=0.3) == "0.0%"
    assert filled("{1-a/b:.1%}", numbers, a=20.0, b=100.0) == "80.0%"


@pytest.mark.parametrize("template", ["{1-a}", "{2-a/b}", "{1-1-a/b}", "{1-}", "{1-a/b/n}"])
def test_nothing_else_is_subtracted(numbers: Schema, template: str) -> None:
    (problem,) = templates.problems(template, numbers.definition)
    assert "neither a field nor a ratio of two" in problem


def test_a_precision_of_a_whole_number_needs_a_type(numbers: Schema) -> None:
    (problem,) = templates.problems("n {n:.2}", numbers.definition)
    assert problem == "'n {n:.2}' formats n, which is whole, by .2: write .2f"
    assert filled("n {n:.2f}", numbers, n=3) == "n 3.00"
    assert filled("{a:.2} {n/a:.2}", numbers, a=4.0, n=3) == "4.0 0.75"
