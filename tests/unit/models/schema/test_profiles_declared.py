"""A schema declares what is remembered of accounts, and uses it as it uses fields."""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pytest
from msgspec.json import encode
from numpy.typing import NDArray

from models.deciding import Profiled, decide
from models.policies.in_force import InForce
from models.policies.reading import read as read_policy
from models.policies.ruling import Ruling
from models.schema import presets
from models.schema.features import Features, Matrix
from models.schema.reading import SchemaError, read
from models.schema.schema import PAYSIM, Schema
from models.scorer import Scorer
from tests.support.remembered import POLICY, SCHEMA, payment
from tests.support.transactions import candidate

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
WITH_FEATURES = (
    SCHEMA
    + """
log_sent = { log = "sent" }
ratio = { ratio = ["amount", "usual"] }
unknown = { missing = "usual" }
risk_ = { number = "risk" }

[[reasons]]
features = ["log_amount", "hour", "log_sent", "risk_"]
says = [{ code = "SENT", text = "{sent:.0f} payments within the hour." }]

[[reasons]]
features = ["ratio", "unknown"]
says = [{ code = "USUAL", text = "{amount/usual:.1f} times the usual amount." }]
"""
)


class Even:
    """A model in which each feature contributes the same, up to a score of one half."""

    expected = -6.0

    def log_odds(self, matrix: Matrix) -> NDArray[np.float64]:
        return np.zeros(len(matrix))

    def contributions(self, matrix: Matrix) -> NDArray[np.float64]:
        return np.ones(matrix.shape)


def transactions(schema: Schema, *amounts: float) -> list[Any]:
    """Payments by one card, as the topic has them."""
    given = (payment(f"t{at}", "C1", "T1", amount) for at, amount in enumerate(amounts))
    return [schema.parser.parse(json.dumps(each).encode()) for each in given]


def refusal(declared: str) -> str:
    with pytest.raises(SchemaError) as caught:
        read(SCHEMA.replace("[features]", f"{declared}\n[features]").encode(), "my.toml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        ('x = "count(nobody, 1h)"', "profile.x: count of 'nobody', which is no field"),
        ('x = "count(custmer_id, 1h)"', "is it customer_id?"),
        ('x = "count(amount, 1h)"', "profile.x: amount is amount, and only text and category"),
        ('x = "count(transaction_id, 1h)"', "has the role id: there is nothing to remember"),
        ('x = "count(is_fraud, 1h)"', "has the role label"),
        ('x = "distinct(sender, customer_id, 1h)"', "customer_id has one value in the profile"),
        ('x = "cnt(sender, 1h)"', "there is no cnt"),
        ('amount = "count(sender, 1h)"', "profile.amount: a field has this name, too"),
        ('2x = "count(sender, 1h)"', "profile.2x: a name must begin with a letter"),
        ("x = 5", "profile.x: expected `str`, got `int`"),
    ],
)
def test_a_value_that_cannot_be_is_told_with_its_place(declared: str, why: str) -> None:
    assert why in refusal(declared)


def test_a_role_that_no_field_has_is_told() -> None:
    without = SCHEMA.replace('role = "receiver"', "")
    with pytest.raises(SchemaError, match=r"profile\.taken: no field has the role receiver"):
        read(without.encode(), "my.toml")


def test_sums_need_an_amount() -> None:
    without = SCHEMA.replace('role = "amount"', "")
    with pytest.raises(SchemaError, match=r"profile\.spent: sum is of amounts, and no field has"):
        read(without.encode(), "my.toml")


def test_a_schema_without_profiles_is_as_it_was() -> None:
    assert PAYSIM.remembering is None
    assert PAYSIM.profile_version == ""
    assert PAYSIM.contract == "before-the-move/3"
    assert PAYSIM.facts_type is PAYSIM.transaction


def test_the_version_follows_what_is_remembered_and_not_how_it_is_named() -> None:
    schema = Schema(read(SCHEMA.encode(), "a"))
    by_field = SCHEMA.replace("count(sender, 1h)", "count(customer_id, 1h)")
    assert Schema(read(by_field.encode(), "b")).profile_version == schema.profile_version
    longer = SCHEMA.replace("count(sender, 1h)", "count(sender, 2h)")
    assert Schema(read(longer.encode(), "c")).profile_version != schema.profile_version
    assert schema.contract == Schema(read(longer.encode(), "c")).contract  # no feature uses it
    used, other = (
        Schema(read(each.encode(), "d"))
        for each in (WITH_FEATURES, WITH_FEATURES.replace("sender, 1h", "sender, 2h"))
    )
    assert used.contract != other.contract


def test_features_of_one_row_and_of_many_are_the_same() -> None:
    schema = Schema(read(WITH_FEATURES.encode(), "a"))
    parsed = transactions(schema, 10.0, 99.0)
    known = [{"sent": 2.0, "usual": 4.0, "risk": 0.5}, {"sent": 0.0}]
    facts = schema.with_profiles(parsed, known)
    both = schema.features.matrix(facts)
    assert both.shape == (2, 6)
    for row, each in zip(both, facts, strict=True):
        (alone,) = schema.features.matrix([each])
        np.testing.assert_array_equal(alone, row)
    (ratio, unknown), (no_ratio, new) = both[:, 3:5].tolist()
    assert math.isclose(ratio, math.log1p(10.0) - math.log1p(4.0), rel_tol=1e-6)
    assert (unknown, new) == (0.0, 1.0)
    assert math.isnan(no_ratio)


def test_rules_and_reasons_see_values_and_the_decision_has_them() -> None:
    schema = Schema(read(WITH_FEATURES.encode(), "a"))
    policy = InForce(Ruling(read_policy(POLICY.encode(), schema), schema), "1+1")
    scorer = Scorer("fixed", Even(), schema, Features(schema.definition))
    candidates = [*map(candidate, transactions(schema, 10.0, 10.0, 10.0))]
    known = [
        {"sent": 3.0, "spent": 30.0, "usual": 10.0},
        {"sent": 0.0, "spent": 0.0},
        {"risk": 0.5, "frauds": 2.0, "usual": 1.0, "sent": 0.0},
    ]
    often, new, bad = decide(
        candidates,
        scorer=scorer,
        policy=policy,
        now=NOW,
        schema=schema,
        profiles=Profiled(known, lag=7.5),
    )
    assert [each.profile for each in (often, new, bad)] == known
    assert {each.profile_version for each in (often, new, bad)} == {schema.profile_version}
    assert {each.profile_lag for each in (often, new, bad)} == {7.5}
    assert (often.decision, often.hits) == ("FLAG", ["often"])
    assert often.reasons[0].text == "The card was used 3 times within the hour, for 30.00 in a day."
    assert (new.decision, new.hits) == ("APPROVE", ["new_card"])
    assert (bad.decision, bad.hits) == ("BLOCK", ["bad_terminal"])
    assert bad.reasons[0].text == "Of its payments, 50% were fraud."
    assert {each.text for each in bad.reasons} & {
        "0 payments within the hour.",
        "10.0 times the usual amount.",
    }
    (again,) = schema.facts([bad])
    assert (again.risk, again.sent, again.spent) == (0.5, 0.0, None)
    assert schema.decode(encode(bad)) == bad


def test_presets_without_profiles_name_none_in_decisions() -> None:
    assert b"profile" not in presets.content("paysim")
