"""Card transactions follow the published recipe, whatever the size of the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.cards.compromise import Compromises
from data.cards.generator import Row, generate
from data.cards.people import Points, Reach
from data.cards.plan import MOST, Plan
from data.cards.simulation import (
    CUSTOMER_DAYS,
    LARGE,
    STOLEN,
    STOLEN_TIMES,
    TERMINAL_DAYS,
    Cause,
    Day,
    Simulation,
)

COMPROMISED = Plan(
    seed=3,
    customers=300,
    terminals=60,
    days=100,
    radius=30.0,
    terminal_share=Fraction(1, 600),
    customer_share=Fraction(1, 100),
)
"""More fraud than usual, to have enough to test with."""
PLANS = st.builds(
    Plan,
    seed=st.integers(0, 2**70),
    customers=st.integers(0, 30),
    terminals=st.integers(0, 30),
    days=st.integers(0, 12),
    radius=st.sampled_from([0.0, 5.0, 40.0, 1e300]),
    start=st.dates(date(1970, 1, 1), date(2100, 1, 1)),
    terminal_share=st.fractions(0, 1),
    customer_share=st.fractions(0, 1),
)


@pytest.fixture(scope="module")
def default() -> list[Row]:
    return list(generate(Plan()))


@pytest.fixture(scope="module")
def days() -> list[Day]:
    return list(Simulation(COMPROMISED).days())


@given(plan=PLANS)
def test_any_small_plan_gives_valid_rows_in_order_of_time(plan: Plan) -> None:
    rows = list(generate(plan))
    begin = datetime.combine(plan.start, datetime.min.time(), timezone.utc)
    assert [row.at for row in rows] == sorted(row.at for row in rows)
    assert len({row.transaction_id for row in rows}) == len(rows)
    for row in rows:
        assert begin <= row.at < begin + timedelta(days=plan.days)
        assert row.at.utcoffset() == timedelta(0)
        assert 1 <= int(row.customer_id.removeprefix("C")) <= plan.customers
        assert 1 <= int(row.terminal_id.removeprefix("T")) <= plan.terminals
        assert row.is_fraud == (row.cause != Cause.NONE)


@given(plan=PLANS)
def test_rows_say_what_the_simulation_did(plan: Plan) -> None:
    rows = generate(plan)
    for number, day in enumerate(Simulation(plan).days()):
        made = list(islice(rows, len(day.second)))
        begin = datetime.combine(plan.start, datetime.min.time(), timezone.utc)
        seconds = [(row.at - begin).total_seconds() - 86_400 * number for row in made]
        assert seconds == day.second.tolist()
        assert [row.customer_id for row in made] == [f"C{each + 1}" for each in day.customer]
        assert [row.terminal_id for row in made] == [f"T{each + 1}" for each in day.terminal]
        assert [round(row.amount * 100) for row in made] == day.cents.tolist()
        assert [row.cause for row in made] == day.cause.tolist()
    assert next(rows, None) is None


@given(plan=PLANS)
def test_amounts_are_whole_cents_and_fraud_above_220(plan: Plan) -> None:
    for row in generate(plan):
        assert row.amount >= 0.01
        assert row.amount == round(row.amount, 2)
        assert row.is_fraud or row.amount <= 220.0


@given(plan=PLANS)
def test_nobody_pays_beyond_the_radius(plan: Plan) -> None:
    world = Simulation(plan)
    homes, terminals = world.customers.homes, world.terminals
    for day in world.days():
        east = homes.x[day.customer] - terminals.x[day.terminal]
        north = homes.y[day.customer] - terminals.y[day.terminal]
        assert (np.hypot(east, north) <= plan.radius * (1.0 + 1e-12)).all()


@given(plan=PLANS)
def test_each_terminal_within_the_radius_is_within_reach(plan: Plan) -> None:
    rng = np.random.default_rng(plan.seed)
    homes, terminals = Points.draw(rng, plan.customers), Points.draw(rng, plan.terminals)
    reach = Reach.of(homes, terminals, plan.radius)
    for index, (x, y) in enumerate(zip(homes.x, homes.y, strict=True)):
        found = reach.terminals[reach.first[index] :][: reach.count[index]]
        near = np.hypot(terminals.x - x, terminals.y - y) <= plan.radius
        assert sorted(found) == np.flatnonzero(near).tolist()


@given(plan=PLANS)
def test_each_fraud_has_its_cause_and_each_cause_its_frauds(plan: Plan) -> None:
    for day in Simulation(plan).days():
        tampered = day.compromised_terminals[day.terminal]
        stolen = day.compromised_customers[day.customer]
        taken = day.cause == Cause.CUSTOMER
        assert not (taken & ~stolen).any()
        assert (day.cents[taken] % STOLEN_TIMES == 0).all()
        assert ((day.cause == Cause.TERMINAL) == (tampered & ~taken)).all()
        large = (day.cents > LARGE) & ~tampered & ~taken
        assert ((day.cause == Cause.AMOUNT) == large).all()


@given(plan=PLANS, seed=st.integers(0, 9))
def test_the_same_plan_gives_the_same_rows(plan: Plan, seed: int) -> None:
    rows = list(generate(plan))
    assert list(generate(plan)) == rows
    if len(rows) > 3 and seed != plan.seed:
        assert [row[1:] for row in generate(replace(plan, seed=seed))] != [row[1:] for row in rows]


@given(plan=PLANS, more=st.integers(1, 9))
def test_a_plan_of_more_days_begins_with_the_days_of_a_shorter_one(plan: Plan, more: int) -> None:
    shorter = list(generate(plan))
    longer = generate(replace(plan, days=plan.days + more))
    assert list(islice(longer, len(shorter))) == shorter


def test_the_default_plan_has_little_fraud_of_every_kind(default: list[Row]) -> None:
    causes = Counter(row.cause for row in default)
    assert 0.003 <= 1.0 - causes[Cause.NONE] / len(default) <= 0.015
    assert causes[Cause.TERMINAL] > causes[Cause.CUSTOMER] > causes[Cause.AMOUNT] > 50


@pytest.mark.parametrize("rows", [3_000, 20_000, 100_000])
@pytest.mark.parametrize("length", [14, 90])
def test_a_plan_for_some_rows_makes_about_as_many_and_as_much_fraud(rows: int, length: int) -> None:
    plans = [Plan.for_rows(rows, length, seed=seed) for seed in range(max(4, 40_000 // rows))]
    made = [list(generate(plan)) for plan in plans]
    count = sum(map(len, made))
    assert count / len(plans) == pytest.approx(rows, rel=0.08)
    assert 0.003 <= sum(row.is_fraud for each in made for row in each) / count <= 0.015


def test_fraud_is_as_frequent_at_the_beginning_as_later(default: list[Row]) -> None:
    tenths = np.array_split([row.cause > Cause.AMOUNT for row in default], 10)
    assert min(part.mean() for part in tenths) > 0.003


def test_two_of_ten_thousand_are_struck_a_day_and_stay_so_for_28_days() -> None:
    share = Plan().terminal_share
    struck = Compromises(np.random.default_rng(1), 10_000, share, TERMINAL_DAYS)
    masks = np.array([struck.next_day() for _ in range(200)])
    for terminal in np.flatnonzero(masks.any(axis=0)):
        spells = spells_of(masks[:, terminal])
        assert all(length >= TERMINAL_DAYS for length in spells[1:-1])
    new = (masks[1:] & ~masks[:-1]).sum(axis=1)
    assert new.max() == 2
    assert new.mean() > 1.9
    assert 50 <= masks.sum(axis=1).mean() <= 56


@pytest.mark.parametrize(
    ("population", "share"),
    [(5_000, Fraction(3, 5_000)), (100, Fraction(1, 1000)), (7, Fraction(1, 3)), (9, Fraction(1))],
)
def test_the_expected_number_is_struck_whatever_the_population(
    population: int, share: Fraction
) -> None:
    struck = Compromises(np.random.default_rng(1), population, share, lasting=1)
    total = sum(int(struck.next_day().sum()) for _ in range(300))
    assert abs(total - 300 * population * share) <= 0.5


def spells_of(mask: Sequence[bool] | np.ndarray) -> list[int]:
    """The lengths of unbroken runs of true; an open end on either side makes a run of its own."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask, [0]))))
    lengths: list[int] = (edges[1::2] - edges[::2]).tolist()
    before = [0] if not mask[0] else []
    after = [0] if not mask[-1] else []
    return before + lengths + after


@pytest.mark.parametrize(
    ("who", "lasting"), [("customers", CUSTOMER_DAYS), ("terminals", TERMINAL_DAYS)]
)
def test_customers_and_terminals_are_compromised_for_their_days(
    days: list[Day], who: str, lasting: int
) -> None:
    masks = np.array([getattr(day, f"compromised_{who}") for day in days])
    complete = [spells_of(column)[1:-1] for column in masks.T]
    lengths = Counter(length for spells in complete for length in spells)
    assert min(lengths) == lasting
    assert lengths.most_common(1) == [(lasting, lengths[lasting])]


def test_the_published_days_are_14_and_28() -> None:
    assert (CUSTOMER_DAYS, TERMINAL_DAYS) == (14, 28)


def test_a_third_of_what_compromised_customers_pay_is_five_times_as_much(days: list[Day]) -> None:
    stolen = np.concatenate([day.compromised_customers[day.customer] for day in days])
    taken = np.concatenate([day.cause for day in days]) == Cause.CUSTOMER
    cents = np.concatenate([day.cents for day in days])
    assert taken[stolen].mean() == pytest.approx(STOLEN, abs=0.03)
    assert cents[taken].mean() / cents[~taken].mean() == pytest.approx(STOLEN_TIMES, rel=0.15)


def test_all_that_compromised_terminals_take_is_fraud(days: list[Day]) -> None:
    cause = np.concatenate([day.cause for day in days])
    tampered = np.concatenate([day.compromised_terminals[day.terminal] for day in days])
    assert tampered.sum() > 1_000
    assert (cause[tampered] >= Cause.TERMINAL).all()


def test_without_shares_only_large_amounts_are_fraud() -> None:
    plan = replace(COMPROMISED, terminal_share=Fraction(0), customer_share=Fraction(0))
    causes = {row.cause for row in generate(plan)}
    assert causes == {Cause.NONE, Cause.AMOUNT}


def test_customers_keep_their_habits() -> None:
    plan = Plan(customers=40, terminals=200, days=400, radius=200.0, customer_share=Fraction(0))
    world = Simulation(plan)
    made = list(world.days())
    customer = np.concatenate([day.customer for day in made])
    cents = np.concatenate([day.cents for day in made])
    assert (cents == 1).mean() < 0.001
    for index in np.flatnonzero(world.customers.daily > 1.0):
        own = cents[customer == index] / 100.0
        mean = world.customers.mean_amount[index]
        # Negative amounts drawn anew raise the mean by 2% and lower the deviation by 6%.
        assert own.mean() == pytest.approx(1.02 * mean, rel=0.1)
        assert own.std() == pytest.approx(0.47 * mean, rel=0.15)
        assert len(own) / plan.days == pytest.approx(0.969 * world.customers.daily[index], rel=0.2)


def test_most_is_paid_around_noon(default: list[Row]) -> None:
    hours = np.array([row.at.hour + row.at.minute / 60.0 for row in default])
    assert hours.mean() == pytest.approx(12.0, abs=0.1)
    assert 5.0 <= hours.std() <= 5.4  # 20,000 s are 5.6 h, cut off at midnight
    assert hours.min() < 0.1
    assert hours.max() > 23.9


@pytest.mark.parametrize(
    "given",
    [
        {"customers": -1},
        {"terminals": MOST + 1},
        {"days": -1},
        {"days": 10**9},
        {"radius": float("nan")},
        {"radius": -1.0},
        {"seed": -1},
        {"terminal_share": Fraction(-1)},
        {"customer_share": Fraction(3, 2)},
    ],
)
def test_a_parameter_out_of_bounds_is_named(given: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(given))}="):
        replace(Plan(), **given)  # type: ignore[arg-type]
