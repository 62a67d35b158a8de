"""Which decisions teach a model, with which label and weight, and what is said of the others."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.labels.records import Source
from models.records import Decision, Outcome, Reason
from models.schema.reading import read
from models.schema.schema import Schema
from models.training.from_decisions import (
    BLOCKED,
    LEAST_SHARE,
    LEGITIMATE,
    OTHER_PROFILES,
    OTHER_SCHEMA,
    STOOD_FOR,
    TWICE,
    YOUNG,
    FromDecisions,
    Told,
)
from tests.support.decisions import decision
from tests.support.remembered import SCHEMA, payment

NOW = datetime(2026, 6, 30, 12, tzinfo=timezone.utc)
MATURE = timedelta(days=7)
OLD = NOW - MATURE - timedelta(hours=1)
FRAUD = Told(3, 1, Source.CHARGEBACK)
NO_FRAUD = Told(4, 0, Source.ANALYST)
FEATURES = """
risk_ = { number = "risk" }
terminal_rate = { rate = "terminal_id" }
"""


@pytest.fixture(scope="module")
def shop() -> Schema:
    return Schema(read((SCHEMA + FEATURES).encode(), "shop.toml"))


def made(shop: Schema, id_: str = "1", **changes: Any) -> Decision:
    """A mature decision of this schema that lets a payment through."""
    sent = payment(id_, "c1", "t1", 12.5)
    fields = {
        "transaction": shop.parser.parse(json.dumps(sent).encode()),
        "decision": Outcome.APPROVE,
        "decided_at": OLD,
        "schema_version": shop.version,
        "profile_version": shop.profile_version,
        "profile": {"risk": 0.25, "sent": 2.0},
    }
    return decision(id_, **{**fields, **changes})


def taken(shop: Schema, told: dict[str, Told], *decisions: Decision) -> FromDecisions:
    found = FromDecisions(shop, NOW, MATURE)
    ids = [each.transaction_id for each in decisions]
    found.add(decisions, told, [id_ not in ids[:at] for at, id_ in enumerate(ids)])
    found.finish()
    return found


def test_a_mature_decision_is_what_its_label_says_and_else_legitimate(shop: Schema) -> None:
    told = {"a": FRAUD, "b": NO_FRAUD}
    found = taken(shop, told, *(made(shop, id_) for id_ in "abc"))
    assert found.counts == {"chargeback": 1, "analyst": 1, LEGITIMATE: 1}
    assert found.frauds.total() == found.frauds["chargeback"] == 1
    rows = found.labelled()
    assert rows.fraud.tolist() == [True, False, False]
    assert rows.weight.tolist() == [1.0, 1.0, 1.0]
    assert not found.skipped


def test_features_are_made_of_what_the_decision_knew(shop: Schema) -> None:
    found = taken(shop, {}, made(shop, "a"), made(shop, "b", profile={}))
    column = shop.features.names.index("risk_")
    matrix = found.labelled().matrix
    assert matrix[0, column] == 0.25
    assert np.isnan(matrix[1, column])
    assert matrix[0, 0] == pytest.approx(np.log1p(12.5))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"decided_at": NOW - MATURE + timedelta(seconds=1)}, YOUNG),
        ({"decision": Outcome.BLOCK}, BLOCKED),
        ({"schema_version": "other-1"}, OTHER_SCHEMA),
        ({"profile_version": "shop-1"}, OTHER_PROFILES),
        ({"profile_version": ""}, OTHER_PROFILES),
    ],
)
def test_what_teaches_nothing_is_left_out_and_counted(
    shop: Schema, changes: dict[str, Any], why: str
) -> None:
    found = taken(shop, {}, made(shop, "a", **changes), made(shop, "b"))
    assert found.skipped == {why: 1}
    assert found.rows == 1


def test_a_label_of_a_young_decision_waits_too(shop: Schema) -> None:
    # Frauds are told earlier than their absence: with them alone, all of the last days were fraud.
    found = taken(shop, {"a": FRAUD}, made(shop, "a", decided_at=NOW))
    assert (found.rows, found.skipped) == (0, {YOUNG: 1})


def test_a_block_teaches_once_somebody_has_looked_into_it(shop: Schema) -> None:
    blocked = [made(shop, id_, decision=Outcome.BLOCK) for id_ in "abc"]
    found = taken(shop, {"a": FRAUD, "b": NO_FRAUD}, *blocked)
    assert found.labelled().fraud.tolist() == [True, False]
    assert found.skipped == {BLOCKED: 1}


@given(share=st.floats(min_value=1e-9, max_value=1.0))
def test_the_control_group_stands_for_all_that_it_was_drawn_from(
    shop: Schema, share: float
) -> None:
    explored = [made(shop, id_, decision=Outcome.FLAG, explored=share) for id_ in "ab"]
    found = taken(shop, {"a": FRAUD}, *explored, made(shop, "c"))
    weight = 1.0 / max(share, LEAST_SHARE)
    assert found.labelled().weight.tolist() == [weight, weight, 1.0]
    assert found.explored == 2


def test_what_the_control_group_stands_for_counts_once(shop: Schema) -> None:
    def blocked(id_: str, policy: str = "4+0", **changes: Any) -> Decision:
        return made(shop, id_, decision=Outcome.BLOCK, policy_version=policy, **changes)

    flagged = made(shop, "x", decision=Outcome.FLAG, policy_version="4+9", explored=0.1)
    told = dict.fromkeys(["x", "model", "rule", "other"], FRAUD)
    found = taken(
        shop,
        told,
        blocked("model"),
        blocked("rule", hits=["too-much"], reasons=[Reason("RULE_TOO_MUCH", "", 0.0)]),
        blocked("other", "3+0"),
        blocked("without a label"),
        flagged,
    )
    rows = found.labelled()
    assert sorted(rows.weight.tolist()) == [1.0, 1.0, 10.0]
    assert rows.fraud.all()
    assert found.skipped == {BLOCKED: 1, STOOD_FOR: 1}
    assert (found.rows, found.frauds.total()) == (3, 3)


def test_of_two_decisions_under_an_id_the_first_one_counts(shop: Schema) -> None:
    found = taken(shop, {"a": FRAUD}, made(shop, "a"), made(shop, "a", profile={}))
    assert (found.rows, found.skipped) == (1, {TWICE: 1})


def test_rows_are_in_the_order_of_their_decisions(shop: Schema) -> None:
    ids = ["c", "a", "b"]
    decided = [OLD - timedelta(hours=ord(id_)) for id_ in ids]
    found = taken(
        shop,
        {"b": FRAUD},
        *(made(shop, id_, decided_at=at) for id_, at in zip(ids, decided, strict=True)),
    )
    rows = found.labelled()
    assert (np.diff(rows.step) > 0).all()
    assert rows.fraud.tolist() == [False, True, False]
    assert rows.fields["amount"].tolist() == [12.5] * 3
    assert rows.texts["terminal_id"].tolist() == ["t1"] * 3
