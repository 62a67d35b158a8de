"""What rules mean, compared with an oracle; and what missing values do."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings

from models.rules.errors import RulesError
from models.rules.ruleset import RuleSet
from tests.unit.models.rules.hostile import hostile
from tests.unit.models.rules.making import (
    LISTS,
    RANDOMS,
    SCHEMA,
    Expression,
    Row,
    matrix,
    rows,
    transaction,
)
from tests.unit.models.rules.oracle import Oracle, parsed


def assert_as_the_oracle(rules: RuleSet, made: list[Row]) -> None:
    found = rules.hits(
        [row.transaction for row in made], [row.score for row in made], matrix(made), LISTS
    )
    nodes = [parsed(rule.text) for rule in rules.rules]
    failures = [0] * len(nodes)
    for row, hits in zip(made, found, strict=True):
        oracle = Oracle(row, LISTS)
        expected = [oracle.hits(node) for node in nodes]
        assert hits == tuple(n for n, each in enumerate(expected) if each)
        failures = [n + (each is None) for n, each in zip(failures, expected, strict=True)]
    assert rules.failures == failures
    assert rules.causes.keys() == {n for n, each in enumerate(failures) if each}


@settings(max_examples=300)
@given(RANDOMS)
def test_rules_mean_what_the_same_expression_means_to_python(random: Random) -> None:
    rules = RuleSet([Expression(random).text() for _ in range(5)], SCHEMA)
    assert_as_the_oracle(rules, rows(random, 5))


@given(RANDOMS)
def test_what_is_accepted_by_chance_means_the_same_too(random: Random) -> None:
    for _ in range(10):
        try:
            rules = RuleSet([hostile(random)], SCHEMA)
        except RulesError:
            continue
        assert_as_the_oracle(rules, rows(random, 5))


def hits(rule: str, features: tuple[float, float, float] = (0, 0, 0), **fields: Any) -> bool:
    given = {"transaction_id": "t", "amount": 1.0, "kind": "A", "card": "x", "abroad": 0}
    row = Row(SCHEMA.transaction(**given, at=transaction(Random(1)).at, **fields), 0.5, [*features])
    (found,) = RuleSet([rule], SCHEMA).hits([row.transaction], [row.score], matrix([row]), LISTS)
    return bool(found)


@pytest.mark.parametrize(
    "operator", ["== 1", "!= 1", "< 1", "<= 1", "> 1", ">= 1", "in (1,)", "not in (1,)"]
)
@pytest.mark.parametrize(
    "number",
    [
        *("balance", "-balance", "balance + 1", "amount / (balance - balance)", "abs(balance)"),
        *("min(1, balance)", "max(balance, 1)", "hour(step)", "len(shop)", "log_change"),
        *("log_change + 1", "min(1, log_change)", "max(log_change, 1)", "len(lower(shop))"),
        *("1e308 * 10 - 1e308 * 10", "min(1, 1e308 * 10 - 1e308 * 10)"),
        *("max(1, 1e308 * 10 - 1e308 * 10)", "-(1e308 * 10) % 2"),
    ],
)
def test_a_comparison_with_a_missing_number_is_false(number: str, operator: str) -> None:
    nan = (math.nan, 0.0, 0.0)
    assert not hits(f"{number} {operator}", nan)
    assert hits(f"not {number} {operator}", nan)


@pytest.mark.parametrize(
    "comparison",
    [
        *("shop == ''", "shop != ''", "shop < 'x'", "shop in @mules", "shop not in @mules"),
        *("shop not in ('a',)", "lower(shop) != 'x'", "lower(shop) not in @no", "opened < at"),
        *("opened != at", "online == True", "online != True", "online == (amount > 1)"),
        *("1 < balance < 3", "amount == 1 != balance", "0 < amount < balance", "balance < 1 / 0"),
    ],
)
def test_a_comparison_with_a_missing_value_is_false(comparison: str) -> None:
    assert not hits(comparison)
    assert hits(f"not ({comparison})")


def test_a_missing_flag_is_false() -> None:
    assert not hits("online")
    assert hits("not online")
    assert hits("(online or abroad) == False")
    assert hits("online", online=True)


@pytest.mark.parametrize("name", ["balance", "shop", "online", "opened", "log_change"])
def test_it_can_be_asked_whether_a_value_is_missing(name: str) -> None:
    given = {"balance": 0.0, "shop": "", "online": False, "opened": transaction(Random(1)).at}
    assert hits(f"missing({name})", (math.nan, 0.0, 0.0))
    assert not hits(f"missing({name})", (0.0, 0.0, 0.0), **given)


@pytest.mark.parametrize(
    "expression",
    [
        *("-1 - 1 == -2", "-7 % 4 == 1", "7 % -4 == -1", "1 - 1 - 1 == -1", "8 / 2 / 2 == 2"),
        *("1 + 2 * 3 == 7", "(1 + 2) * 3 == 9", "2 * -3 == -6", "- -1 == 1", "-(1 - 2) == 1"),
        *("not 1 > 2", "not 1 == 2 and True", "True or False and False", "not False == True"),
        *("1 < 2 < 3", "not 1 < 3 < 2", "3 > 1 < 2", "1 in (1,) and 2 not in [1]", "not 1 in [2]"),
        *("'B' < 'a'", "'it\\'s' == \"it's\"", "'\\\\' == \"\\\\\"", "lower('Ab') == 'ab'"),
        *("len('a\\\\b') == 3", "min(3, 1, 2) == 1", "max(3, 1, 2) == 3", "abs(-2) == 2"),
    ],
)
def test_operators_bind_as_in_python(expression: str) -> None:
    assert hits(expression)
    assert eval(expression, {"lower": str.lower})


@pytest.mark.parametrize(
    ("field", "value", "hour"),
    [
        ("opened", datetime(2026, 1, 1, 1, 59, tzinfo=timezone(timedelta(hours=2))), 23),
        ("opened", datetime(1969, 12, 31, 22, 0, tzinfo=timezone.utc), 22),
        *(("epoch", 3_600.0 * 25, 1), ("epoch", 3_599.9, 0), ("epoch", -1.0, 23)),
        *(
            ("millis", 3_600_000 * 47, 23),
            ("millis", 3_599_999, 0),
            ("step", 24, 0),
            ("step", 47, 23),
        ),
    ],
)
def test_the_hour_is_that_of_utc(field: str, value: Any, hour: int) -> None:
    assert hits(f"hour({field}) == {hour}", **{field: value})


def test_a_list_that_does_not_exist_is_empty() -> None:
    assert not hits("card in @nowhere")
    assert hits("card not in @nowhere")


def test_only_what_is_asked_for_is_computed() -> None:
    assert hits("amount == 1 or amount / 0 > 1")
    assert not hits("amount > 1 and amount / 0 > 1")
