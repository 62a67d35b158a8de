"""Sets of rules: batches, lists, rules that fail, and transactions of other schemas."""

from __future__ import annotations

import ast
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from models.rules.functions import CALLED
from models.rules.linking import Locals, built
from models.rules.rule import read
from models.rules.ruleset import RuleSet
from models.rules.scope import Scope
from models.schema.schema import PAYSIM, preset
from models.schema.stored import other_transaction
from tests.support.transactions import FIELDS
from tests.unit.models.rules.making import LISTS, RANDOMS, SCHEMA, Expression, Row, matrix, rows
from tests.unit.models.rules.oracle import NODES

FUNCTION = (
    *(ast.Module, ast.FunctionDef, ast.arguments, ast.arg, ast.Assign, ast.Store, ast.For, ast.If),
    *(ast.keyword, ast.Starred, ast.Is, ast.IsNot, ast.Expr, ast.Attribute, ast.Return, ast.Try),
    *(ast.ExceptHandler, ast.AugAssign, ast.NamedExpr),
)
"""What the function of a set has beside what expressions may have."""


def hits(rules: RuleSet, made: list[Row], lists: Any = LISTS) -> list[tuple[int, ...]]:
    return rules.hits(
        [row.transaction for row in made], [row.score for row in made], matrix(made), lists
    )


@given(RANDOMS)
def test_a_batch_is_as_its_rows_one_by_one(random: Random) -> None:
    texts = [Expression(random).text(3) for _ in range(6)]
    made = rows(random, 6)
    batch, single = RuleSet(texts, SCHEMA), RuleSet(texts, SCHEMA)
    assert hits(batch, made) == [found for row in made for found in hits(single, [row])]
    assert batch.failures == single.failures
    assert batch.causes == single.causes


@given(RANDOMS)
def test_a_rule_alone_is_as_among_others(random: Random) -> None:
    texts = [Expression(random).text(3) for _ in range(6)]
    made = rows(random, 6)
    together = RuleSet(texts, SCHEMA)
    found = hits(together, made)
    for place, text in enumerate(texts):
        alone = RuleSet([text], SCHEMA)
        assert [place in each for each in found] == [bool(each) for each in hits(alone, made)]
        assert together.failures[place] == alone.failures[0]


@given(RANDOMS)
def test_the_function_has_nothing_but_the_rules(random: Random) -> None:
    scope = Scope(SCHEMA.definition)
    rules = [read(Expression(random).text(), scope) for _ in range(3)]
    names = Locals([*scope.fields], scope.features, ["mules", "trusted", "no"])
    nodes = [*ast.walk(built(rules, names, scope))]
    assert {type(node) for node in nodes} <= {*NODES, *FUNCTION}
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    assert attributes <= {"append", "__class__", *SCHEMA.definition.fields}
    called = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    assert called <= {"append", "zip", "fitted", "failed", *CALLED}


def test_the_function_cannot_reach_what_python_has_built_in() -> None:
    reached = RuleSet(["amount > 1"], SCHEMA)._hits.__globals__
    assert reached["__builtins__"] == {}


def paysim(**fields: Any) -> Any:
    return PAYSIM.transaction(**FIELDS | fields)


def test_a_rule_that_fails_is_counted_and_harms_no_other() -> None:
    rules = RuleSet(["amount > 1", "1 / oldbalanceDest > 0", "amount > 2"], PAYSIM)
    batch = [paysim(amount=5.0, oldbalanceDest=each) for each in (0.0, 2.0, 0.0)]
    assert rules.hits(batch, [0.5] * 3) == [(0, 2), (0, 1, 2), (0, 2)]
    assert rules.failures == [0, 2, 0]
    assert rules.causes == {1: "ZeroDivisionError: float division by zero"}


def test_a_list_that_fails_is_counted_and_harms_no_other_rule() -> None:
    class Broken:
        def __contains__(self, value: object) -> bool:
            raise OSError("gone")

    rules = RuleSet(["nameDest in @bad", "nameDest in @good"], PAYSIM)
    assert rules.hits([paysim()], [0.5], None, {"bad": Broken(), "good": {"C2"}}) == [(1,)]
    assert rules.causes == {0: "OSError: gone"}


def test_lists_are_those_of_the_moment() -> None:
    rules = RuleSet(["nameDest in @mules", "nameOrig not in @trusted"], PAYSIM)
    assert rules.lists == ("mules", "trusted")
    mules: set[str] = set()
    assert rules.hits([paysim()], [0.5], None, {"mules": mules}) == [(1,)]
    mules.add("C2")
    assert rules.hits([paysim()], [0.5], None, {"mules": mules, "trusted": {"C1"}}) == [(0,)]
    assert rules.hits([paysim()], [0.5]) == [(1,)]


def test_only_the_features_that_rules_use_are_read() -> None:
    rules = RuleSet(["score > .9 or takes_all == 1", "amount > log_amount"], PAYSIM)
    assert rules.features == ("takes_all", "log_amount")
    features = np.full((2, len(PAYSIM.features.names)), np.nan, dtype=np.float32)
    features[1, PAYSIM.features.names.index("takes_all")] = 1
    features[0, PAYSIM.features.names.index("log_amount")] = 2
    assert rules.hits([paysim()] * 2, [0.5, 0.5], features) == [(1,), (0,)]
    with pytest.raises(ValueError, match="takes_all, log_amount"):
        rules.hits([paysim()], [0.5])


def test_rows_that_do_not_belong_together_are_refused() -> None:
    rules = RuleSet(["amount > 1"], PAYSIM)
    with pytest.raises(ValueError, match="zip"):
        rules.hits([paysim()], [0.5, 0.6])


def test_no_rules_hit_nothing() -> None:
    assert RuleSet([], PAYSIM).hits([paysim()] * 3, [0.5] * 3) == [()] * 3
    assert RuleSet(["amount > 1"], PAYSIM).hits([], []) == []


def test_rows_without_hits_share_one_tuple() -> None:
    found = RuleSet(["amount < 0"], PAYSIM).hits([paysim()] * 2, [0.5] * 2)
    assert found[0] is found[1]


@pytest.mark.parametrize(
    ("fields", "rule", "expected"),
    [
        ({}, "amount > 1", False),
        ({}, "missing(amount)", True),
        ({"amount": 5}, "amount > 1", True),
        ({"amount": "%999999999d"}, "amount % 7 == 0", False),
        ({"amount": "x"}, "missing(amount)", True),
        ({"amount": True}, "missing(amount)", True),
        ({"category": 5}, "missing(category)", True),
        ({"category": "gas"}, "category == 'gas'", True),
        ({"at": "2026-01-01T23:30:00-02:00"}, "hour(at) == 1", True),
        ({"at": "tomorrow"}, "missing(at)", True),
        ({"at": 5}, "hour(at) != 1", False),
    ],
)
def test_a_transaction_of_another_schema_is_seen_as_far_as_its_types_fit(
    fields: dict[str, Any], rule: str, expected: bool
) -> None:
    other = other_transaction({"transaction_id": "t", **fields})
    rules = RuleSet([rule], preset("cards"))
    assert rules.hits([other], [0.5]) == [(0,) if expected else ()]
    assert rules.failures == [0]


def test_a_flag_of_another_schema_is_seen_as_far_as_its_type_fits() -> None:
    rules = RuleSet(["isFlaggedFraud", "missing(isFlaggedFraud)"], PAYSIM)
    given = [True, 1, 0, 2, "1", None]
    batch = [other_transaction({"transaction_id": "t", "isFlaggedFraud": each}) for each in given]
    assert rules.hits(batch, [0.5] * 6) == [(0,), (0,), (), (1,), (1,), (1,)]
    assert not any(rules.failures)


def test_what_is_in_the_middle_of_comparisons_is_built_once() -> None:
    scope = Scope(SCHEMA.definition)
    text = "online"
    for _ in range(30):
        text = f"(online == {text} != abroad)"
    rule = read(text, scope)
    names = Locals([*scope.fields], scope.features, [])
    assert len([*ast.walk(built([rule], names, scope))]) < 50 * rule.nodes
