"""Quality is what the cells of all partitions add up to, and nothing is made up."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from models.policies.intervals import wilson
from models.quality import control_group
from models.quality.cells import MAX_VERSIONS, OTHERS, DecisionCells
from models.quality.control_group import Explored
from models.quality.documents import DecisionQuality, OutcomeQuality, Period
from models.quality.labelled import Label, LabelledWeek, about
from models.quality.quality import MAX_WEEKS, quality
from models.quality.weeks import DAY_SECONDS
from models.records import Decision, Outcome
from models.schema.schema import PAYSIM
from tests.support.decisions import DECIDED_AT, decision
from tests.unit.models.quality import recounted

PARTITIONS = 3
LATER = (DECIDED_AT + timedelta(days=60)).timestamp()
Cells = tuple[dict[int, DecisionCells], dict[tuple[int, int], LabelledWeek]]


def cells_of(decisions: Iterable[Decision], labels: Mapping[str, Label]) -> Cells:
    """The cells of some partitions, by the last digit of ids."""
    decided = {partition: DecisionCells() for partition in range(PARTITIONS)}
    labelled: dict[tuple[int, int], LabelledWeek] = {}
    for each in decisions:
        partition = int(each.transaction_id[1:]) % PARTITIONS
        decided[partition].add([each])
        if (label := labels.get(each.transaction_id)) is not None:
            moved = about(each, PAYSIM)
            labelled.setdefault((moved.week, partition), LabelledWeek()).move(moved, None, label)
    return decided, labelled


def told(
    decisions: Iterable[Decision],
    labels: Mapping[str, Label],
    now: float = LATER,
    **more: int,
) -> DecisionQuality:
    decided, labelled = cells_of(decisions, labels)
    return quality(decided, labelled, now=now, unit=0.01, **more)


def outcomes(period: Period) -> dict[str, OutcomeQuality]:
    return period.measured.outcomes


labels = st.dictionaries(
    st.integers(0, 29).map("t{}".format), st.sampled_from(list[Label]([0, 1])), max_size=30
)


@given(recounted.many, labels)
def test_it_is_what_a_recount_comes_to(
    decisions: list[Decision], labels: Mapping[str, Label]
) -> None:
    found = {
        (period.week or "", version.model, version.policy, outcome): each
        for period in told(decisions, labels).weeks
        for version in period.versions
        for outcome, each in version.measured.outcomes.items()
        if each.rows
    }
    expected = recounted.decided(decisions)
    counted = recounted.labelled(decisions, labels)
    assert found.keys() == expected.keys()
    for key, each in found.items():
        rows, score, explored = expected[key]
        frauds, legitimate, amount = counted.get(key, (0, 0, 0))
        assert (each.rows, each.explored) == (rows, explored)
        assert each.expected == pytest.approx(score / 1e6 / rows)
        assert (each.frauds, each.legitimate) == (frauds, legitimate)
        assert each.fraud_amounts.get("", 0) == amount
        seen = frauds + legitimate
        assert each.observed == (wilson(frauds, seen) if seen else None)


@given(recounted.many, labels, st.randoms())
def test_the_order_of_partitions_does_not_matter(
    decisions: list[Decision], labels: Mapping[str, Label], random_: random.Random
) -> None:
    decided, labelled = cells_of(decisions, labels)
    orders = list(decided.items()), list(labelled.items())
    for each in orders:
        random_.shuffle(each)
    shuffled = quality(dict(orders[0]), dict(orders[1]), now=LATER, unit=0.01)
    assert shuffled == quality(decided, labelled, now=LATER, unit=0.01)


@given(recounted.many, labels)
def test_all_weeks_together_are_the_sum_of_the_weeks(
    decisions: list[Decision], labels: Mapping[str, Label]
) -> None:
    found = told(decisions, labels)
    for name, each in outcomes(found.total).items():
        of_weeks = [outcomes(week)[name] for week in found.weeks]
        assert each.rows == sum(week.rows for week in of_weeks)
        assert each.frauds == sum(week.frauds for week in of_weeks)
    assert [each.week for each in found.weeks] == sorted(
        (each.week or "" for each in found.weeks), reverse=True
    )
    rows = {each.rule: each.rows for each in found.total.rules}
    assert sum(rows.values()) == sum(recounted.hits(decisions).values())


def test_without_labels_there_are_no_rates() -> None:
    found = told([decision("t0")], {})
    (week,) = found.weeks
    measured = week.measured
    assert (measured.recall_block, measured.false_positives, measured.control) == (None,) * 3
    block, flag = outcomes(week)["BLOCK"], outcomes(week)["FLAG"]
    assert (block.observed, block.expected, flag.expected) == (None, 0.875, None)
    assert (week.maturity.decided, week.maturity.labelled) == (1.0, 0.0)
    nothing = told([], {})
    assert nothing.weeks == []
    assert (nothing.total.maturity.decided, nothing.total.measured.rows) == (None, 0)


def test_recall_and_false_positives_are_shares_of_what_is_labelled() -> None:
    by = [Outcome.BLOCK, Outcome.FLAG, Outcome.APPROVE, Outcome.BLOCK, Outcome.APPROVE]
    made = [decision(f"t{n}", decision=outcome) for n, outcome in enumerate(by)]
    found = told(made, {"t0": 1, "t1": 1, "t2": 1, "t3": 0, "t4": 0}).total.measured
    assert found.recall_block == wilson(1, 3)
    assert found.recall_stopped == wilson(2, 3)
    assert found.false_positives == wilson(1, 2)
    assert found.outcomes["BLOCK"].observed == wilson(1, 2)


def test_a_day_is_mature_once_all_of_it_is_old_enough() -> None:
    made = [decision(f"t{n}", decided_at=DECIDED_AT + timedelta(days=n)) for n in range(4)]
    end_of_first = DECIDED_AT.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(1)
    now = end_of_first.timestamp() + 7 * DAY_SECONDS
    assert told(made, {}, now).total.maturity.decided == 0.25
    assert told(made, {}, now - 1).total.maturity.decided == 0.0
    assert told(made, {}, now, mature_days=6).total.maturity.decided == 0.5
    assert told(made, {}, now).mature.measured.rows == 0  # the week is not mature as a whole
    assert told(made, {}, now + 4 * DAY_SECONDS).mature.measured.rows == 4


def test_weeks_to_come_and_more_weeks_than_asked_for_are_left_out() -> None:
    made = [decision(f"t{n}", decided_at=DECIDED_AT + timedelta(weeks=n)) for n in range(15)]
    now = (DECIDED_AT + timedelta(weeks=13)).timestamp()
    mondays = [recounted.key_of(each)[0] for each in made]
    assert [each.week for each in told(made, {}, now).weeks] == mondays[13:0:-1]
    assert len(told(made, {}, now).weeks) == MAX_WEEKS
    assert [each.week for each in told(made, {}, now, count=2).weeks] == mondays[13:11:-1]


def test_a_week_that_one_partition_does_not_keep_is_left_out() -> None:
    decided, labelled = cells_of([decision("t0"), decision("t1")], {"t0": 1})
    (number,) = decided[0].weeks
    decided[2].dropped = [number]
    assert quality(decided, labelled, now=LATER, unit=0.01).weeks == []


def test_labels_on_what_has_no_cells_of_its_own_are_among_the_others() -> None:
    made = [decision(f"t{3 * n}", policy_version=f"{n + 1}+0") for n in range(MAX_VERSIONS + 2)]
    last = f"t{3 * (MAX_VERSIONS + 1)}"
    (week,) = told(made, {last: 1, "t0": 0}).weeks
    by = {(each.model, each.policy): each.measured.outcomes["BLOCK"] for each in week.versions}
    assert (by[OTHERS, OTHERS].rows, by[OTHERS, OTHERS].frauds) == (2, 1)
    assert (by["m1", "1"].rows, by["m1", "1"].legitimate) == (1, 1)
    assert len(by) == MAX_VERSIONS + 1


def test_rules_have_their_share_of_all_frauds() -> None:
    made = [decision(f"t{n}", hits=["r"] * (n < 3)) for n in range(6)]
    (rule,) = told(made, {"t0": 1, "t1": 0, "t3": 1, "t4": 1}).total.rules
    assert (rule.rule, rule.rows, rule.frauds, rule.legitimate) == ("r", 3, 1, 1)
    assert (rule.observed, rule.recall) == (wilson(1, 2), wilson(1, 3))


def explored(n: int, share: float = 0.1, policy: str = "1+0") -> Decision:
    return decision(f"t{n}", decision=Outcome.FLAG, explored=share, policy_version=policy)


def test_each_explored_fraud_stands_for_the_blocks_that_it_was_chosen_from() -> None:
    made = [explored(0), explored(1), explored(2, 0.01, "2+0")]
    made += [decision(f"t{n}", decision=Outcome.APPROVE) for n in range(3, 8)]
    labels: dict[str, Label] = {"t0": 1, "t1": 0, "t2": 1, "t3": 1, "t4": 1}
    control = told(made, labels).total.measured.control
    assert control
    assert (control.rows, control.frauds, control.legitimate) == (3, 2, 1)
    assert control.observed == wilson(2, 3)
    assert control.recall
    assert control.recall.value == pytest.approx((10 + 100) / (10 + 100 + 2))
    of_first = next(v for v in told(made, labels).total.versions if v.policy == "1")
    assert of_first.measured.control
    assert of_first.measured.control.recall
    assert of_first.measured.control.recall.value == 1.0


def test_without_an_explored_fraud_nothing_is_estimated() -> None:
    control = told([explored(0), decision("t1")], {"t0": 0, "t1": 1}).total.measured.control
    assert control
    assert control.recall is None
    assert control_group.recall([], 5) is None


@given(
    st.lists(st.builds(Explored, st.integers(1, 50), st.floats(10, 1e4)), min_size=1, max_size=4),
    st.integers(0, 1_000),
)
def test_the_estimate_lies_in_its_interval(of_policies: list[Explored], missed: int) -> None:
    found = control_group.recall(of_policies, missed)
    assert found
    assert 0 <= found.low <= found.value <= found.high <= 1


@given(st.integers(1, 1_000), st.integers(1, 5))
def test_more_of_the_same_make_the_interval_narrower(frauds: int, times: int) -> None:
    assume(times > 1)
    few = control_group.recall([Explored(frauds, 100.0)], 100 * frauds)
    many = control_group.recall([Explored(times * frauds, 100.0)], 100 * frauds * times)
    assert few
    assert many
    assert many.value == few.value
    assert few.low <= many.low <= many.high <= few.high


def test_the_interval_of_a_count_holds_its_mean_in_19_of_20_draws() -> None:
    random_ = random.Random(5)
    for mean in (1.0, 4.0, 20.0):
        held, draws = 0, 2_000
        for _ in range(draws):
            count, passed = 0, random_.expovariate(1.0)
            while passed < mean:
                count, passed = count + 1, passed + random_.expovariate(1.0)
            low, high = control_group.counted(count)
            held += low <= mean <= high
        assert held / draws >= 0.94, mean
