"""Cells of labels are a function of the label of each transaction, in whatever order these came."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.quality.cells import OTHERS
from models.quality.labelled import Label, LabelledWeek, about, unit_of
from models.quality.weeks import name_of
from models.records import Decision, Outcome
from models.schema import presets
from models.schema.schema import PAYSIM, preset
from tests.support.decisions import decision
from tests.support.transactions import transaction
from tests.unit.models.quality import recounted
from tests.unit.models.quality.test_cells import PLACES

Labels = list[tuple[int, Label]]
labels = st.lists(st.tuples(st.integers(0, 29), st.sampled_from([0, 1])), max_size=60)


def folded(decisions: list[Decision], told: Labels) -> dict[int, LabelledWeek]:
    weeks: dict[int, LabelledWeek] = {}
    known: dict[str, Label] = {}
    for number, label in told:
        if number < len(decisions):
            each = decisions[number]
            moved = about(each, PAYSIM)
            week = weeks.setdefault(moved.week, LabelledWeek())
            week.move(moved, known.get(each.transaction_id), label)
            known[each.transaction_id] = label
    return weeks


def as_recounted(weeks: Mapping[int, LabelledWeek]) -> dict[recounted.Key, tuple[int, int, int]]:
    return {
        (name_of(number), model, policy, outcome): (
            cell.frauds,
            cell.legitimate,
            cell.amounts.get("", 0),
        )
        for number, week in weeks.items()
        for model, policies in week.versions.items()
        for policy, cells in policies.items()
        for outcome, place in PLACES.items()
        if (cell := cells[place]).frauds + cell.legitimate
    }


@given(recounted.many, labels)
def test_only_the_last_label_of_each_transaction_counts(
    decisions: list[Decision], told: Labels
) -> None:
    last = {f"t{number}": label for number, label in told}
    weeks = folded(decisions, told)
    assert as_recounted(weeks) == recounted.labelled(decisions, last)
    assert weeks == folded(decisions, [*dict(told).items()])
    rules = {
        (name_of(number), rule): (counted.frauds, counted.legitimate)
        for number, week in weeks.items()
        for rule, counted in week.rules.items()
    }
    expected = {
        label: recounted.hits([e for e in decisions if last.get(e.transaction_id) == label])
        for label in (0, 1)
    }
    assert rules == {
        key: (expected[1][key], expected[0][key]) for key in expected[0].keys() | expected[1].keys()
    }


@given(recounted.many, labels.map(dict).map(dict.items).map(list), st.randoms())
def test_the_order_of_transactions_does_not_matter(
    decisions: list[Decision], told: Labels, random_: object
) -> None:
    other = told[:]
    random_.shuffle(other)  # type: ignore[attr-defined]
    assert folded(decisions, told) == folded(decisions, other)


def test_one_that_is_labelled_anew_moves_with_its_amount_and_its_weight() -> None:
    explored = decision(decision=Outcome.FLAG, explored=0.001, hits=["r"])
    week, moved = LabelledWeek(), about(explored, PAYSIM)
    week.move(moved, None, 1)
    cell = week.versions["m1"]["p1"][1]
    assert (cell.frauds, cell.explored_frauds, cell.weight) == (1, 1, 1_000_000_000)
    assert cell.amounts == {"": round(explored.transaction.amount * 100)}
    week.move(moved, 1, 1)
    week.move(moved, 1, 0)
    assert (cell.frauds, cell.explored_frauds, cell.weight, cell.amounts) == (0, 0, 0, {})
    assert (cell.legitimate, cell.explored_legitimate) == (1, 1)
    week.move(moved, 0, 1)
    assert (cell.frauds, cell.legitimate, cell.explored_legitimate) == (1, 0, 0)


def test_a_share_that_chooses_next_to_nothing_has_a_weight_that_fits() -> None:
    week = LabelledWeek()
    week.move(about(decision(decision=Outcome.FLAG, explored=1e-300), PAYSIM), None, 1)
    assert week.versions["m1"]["p1"][1].weight == 2**32 * 1_000_000


@pytest.mark.parametrize(("amount", "cents"), [(0.29, 29), (1e15, 10**17), (0.0, 0), (0.004, 0)])
def test_amounts_are_whole_units(amount: float, cents: int) -> None:
    each = decision(transaction=transaction("t1", amount=amount))
    assert about(each, PAYSIM).amount == cents


@pytest.mark.parametrize(
    ("given_", "currency"), [("EUR", "EUR"), ("eur", OTHERS), ("EURO", OTHERS), ("", "")]
)
def test_a_currency_is_a_code_or_one_of_the_others(given_: str, currency: str) -> None:
    schema = next(each for each in map(preset, presets.names()) if each.currency_field)
    fields: dict[str, str | None] = dict.fromkeys(schema.definition.fields)
    fields |= {"transaction_id": "t1", schema.currency_field or "": given_}
    made = decision(transaction=schema.transaction(**fields))
    assert (about(made, schema).currency, about(made, schema).amount) == (currency, None)


def test_the_unit_is_that_of_the_schema() -> None:
    assert unit_of(PAYSIM) == 0.01
