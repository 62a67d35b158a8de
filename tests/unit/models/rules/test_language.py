"""What is a rule, and what is said of a text that is none."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.rules.errors import RuleError, RulesError
from models.rules.parser import MAX_CHARACTERS, MAX_DEPTH, MAX_NODES
from models.rules.rule import read
from models.rules.ruleset import MAX_NODES as MAX_NODES_OF_SET
from models.rules.ruleset import MAX_RULES, RuleSet
from models.rules.scope import Scope
from models.schema.definition import Definition, Feature, Field
from models.schema.schema import PAYSIM, Schema
from tests.unit.models.rules.hostile import NEVER, hostile
from tests.unit.models.rules.making import RANDOMS, SCHEMA, Expression

SCOPE = Scope(SCHEMA.definition)


def refused(text: str, scope: Scope = SCOPE) -> str:
    with pytest.raises(RuleError) as caught:
        read(text, scope)
    return str(caught.value)


def error_of(text: str) -> RuleError | None:
    try:
        read(text, SCOPE)
    except RuleError as exc:
        return exc
    return None


@pytest.mark.parametrize(
    "text",
    [
        "online",
        "not online and abroad or True",
        "score >= 0.5",
        "0 < amount <= 1_000.50 != balance",
        "kind in ('A', 'B') and kind not in ['C']",
        "card in @mules or lower(card) not in @trusted",
        "amount % 100 == 0 and -amount < -.5e3",
        "max(amount, balance, 7) / 2 > abs(change) * (tries + 1)",
        "len(card) == 3 and card == 'it\\'s' and shop != \"\\\\\"",
        "hour(at) < 6 or hour(step) >= 22",
        "at > opened and missing(shop)",
        "is_a == 1 and missing(log_change)",
        "(amount > 1) == online",
        "amount\n  > 1\n  and online",
        "tries in (-1, 2,)",
    ],
)
def test_it_is_a_rule(text: str) -> None:
    assert read(text, SCOPE).text == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "amout > 5",
            "line 1, column 1: there is no field or feature amout; did you mean amount?",
        ),
        (
            "online and\n  amount == 'x'",
            "line 2, column 3: amount is a number and 'x' a text: they cannot be compared",
        ),
        (
            "kind == 'a'",
            "line 1, column 9: 'a' is no value of kind: there are 'A', 'B', 'C'",
        ),
        (
            "amount * 2",
            "line 1, column 1: a rule is true or false, and amount * 2 is a number: "
            "compare it, such as amount * 2 > 0",
        ),
        (
            "abroad == 1",
            "line 1, column 1: abroad is a flag and 1 a number: they cannot be compared; "
            "a flag stands by itself, or behind not",
        ),
        ("amount = 5", "line 1, column 8: '=' is not a part of rules: to compare, write =="),
        (
            "amount > 5 5",
            "line 1, column 12: after '5' comes an operator such as >, == or and, not '5'",
        ),
        (
            "amount is None",
            "line 1, column 8: after 'amount' comes an operator such as >, == or and, not 'is': "
            "write ==, or missing(field)",
        ),
        ("fraud", "line 1, column 1: fraud is not known when a decision is made"),
        ("lowr(card) == 'x'", "line 1, column 1: there is no function lowr; did you mean lower?"),
        ("abs(1, 2) > 1", "line 1, column 1: abs takes 1 number, not 2"),
        ("lower(amount) == 'x'", "line 1, column 7: lower takes a text, and amount is a number"),
        ("amount + card > 1", "line 1, column 10: + needs numbers, and card is a text"),
        (
            "at in (1,)",
            "line 1, column 1: at is a time and (1,) a number: they cannot be compared; "
            "of a time there are hour(time) and other times",
        ),
        ("amount in @mules", "line 1, column 1: lists hold texts, and amount is a number"),
    ],
)
def test_an_error_says_what_is_wrong_and_where(text: str, message: str) -> None:
    assert refused(text) == message


@pytest.mark.parametrize("text", NEVER, ids=ascii)
def test_what_is_no_rule_is_refused(text: str) -> None:
    assert refused(text).startswith("line ")


@given(st.one_of(st.text(), RANDOMS.map(hostile)))
def test_any_text_is_a_rule_or_has_an_error_with_a_place(text: str) -> None:
    if (error := error_of(text)) is not None:
        lines = text.split("\n")
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1


@given(RANDOMS)
def test_each_expression_whose_types_are_right_is_a_rule(random: Random) -> None:
    read(Expression(random).text(), SCOPE)


@pytest.mark.parametrize("nested", ["({})", "not {}", "(True == {})"])
def test_nothing_is_deeper_than_the_limit(nested: str) -> None:
    text = "online"
    for _ in range(MAX_DEPTH - 1):
        text = nested.format(text)
        assert read(text, SCOPE).tree.span.depth <= MAX_DEPTH
    assert f"{MAX_DEPTH} deep at most" in refused(nested.format(nested.format(text)))


def test_a_chain_of_operations_is_as_deep_as_it_is_long() -> None:
    read("amount" + " + 1" * (MAX_DEPTH - 2) + " > 1", SCOPE)
    assert f"{MAX_DEPTH} deep at most" in refused("amount" + " + 1" * (MAX_DEPTH - 1) + " > 1")
    read("online" + " or online" * 150, SCOPE)
    read("0" + " < amount" * 200, SCOPE)


def test_a_rule_is_not_longer_than_the_limits() -> None:
    comparison = "amount > 1"
    assert f"{MAX_CHARACTERS:,} characters" in refused(comparison.ljust(MAX_CHARACTERS + 1))
    read(comparison.ljust(MAX_CHARACTERS), SCOPE)
    values = ",".join("1" * (MAX_NODES - 3))
    read(f"amount in [{values}]", SCOPE)
    assert f"{MAX_NODES} names" in refused(f"amount in [{values},1]")


def test_a_set_has_no_more_rules_than_the_limits() -> None:
    assert len(RuleSet(["online"] * MAX_RULES, SCHEMA).rules) == MAX_RULES
    with pytest.raises(RulesError, match=f"{MAX_RULES} rules at most, this one 501"):
        RuleSet(["online"] * (MAX_RULES + 1), SCHEMA)
    large = f"amount in [{','.join('1' * (MAX_NODES - 3))}]"
    with pytest.raises(RulesError, match=f"{MAX_NODES_OF_SET:,} names, values and operations"):
        RuleSet([large] * (MAX_NODES_OF_SET // MAX_NODES + 1), SCHEMA)


def test_a_set_names_each_of_its_rules_that_is_none() -> None:
    with pytest.raises(RulesError) as caught:
        RuleSet(["online", "amout > 1", "abroad", "card"], SCHEMA)
    assert list(caught.value.errors) == [1, 3]
    assert str(caught.value).startswith("rule 2: line 1, column 1: there is no field")
    assert "; rule 4: line 1, column 1: a rule is true or false" in str(caught.value)


def test_a_field_is_meant_where_a_feature_has_its_name() -> None:
    scope = Scope(_definition("amount"))
    assert read("amount > 1", scope).fields == ("amount",)
    assert read("amount > 1", scope).features == ()


@pytest.mark.parametrize("field", [True, False])
def test_a_name_that_is_the_score_as_well_cannot_be_used(field: bool) -> None:
    definition = _definition("score" if not field else "amount", "score" if field else "amount")
    assert "give the f" in refused("score > 1", Scope(definition))


def test_a_rule_says_what_it_uses() -> None:
    rule = read("amount > 1 and is_a == 1 and (card in @b or shop in @a) and 1 > amount", SCOPE)
    assert rule.fields == ("amount", "card", "shop")
    assert rule.features == ("is_a",)
    assert rule.lists == ("b", "a")
    assert not rule.uses_score
    assert read("score > .5", SCOPE).uses_score


def test_a_rule_of_one_schema_may_be_none_in_another() -> None:
    RuleSet(["takes_all == 1"], PAYSIM)
    with pytest.raises(RulesError, match="no field or feature takes_all"):
        RuleSet(["takes_all == 1"], SCHEMA)


def _definition(feature: str, field: str = "amount") -> Definition:
    fields = {"transaction_id": Field(type="text", role="id"), field: Field(type="amount")}
    return Schema(
        Definition(name="made", fields=fields, features={feature: Feature(log=field)})
    ).definition


def test_messages_hold_nothing_that_a_terminal_obeys() -> None:
    assert refused("amount > 5 '\x1b[31m'").endswith(r"not '\x1b[31m'")
    assert refused("amount > 5 '\ud800'").isprintable()


def test_a_message_tells_of_the_first_wrong_rules() -> None:
    with pytest.raises(RulesError, match=r"rule 10: .*; and 2 more$") as caught:
        RuleSet(["x"] * 12, SCHEMA)
    assert len(caught.value.errors) == 12
