"""Scores are probabilities, no row's depends on its batch, and contributions add up to them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.policy import Policy
from models.records import Outcome, Transaction
from models.schema.schema import PAYSIM
from models.scorer import Scorer, probability
from tests.support.transactions import transaction, transactions

pytestmark = pytest.mark.slow

batches = st.lists(transactions, min_size=1, max_size=20)
probabilities = st.floats(0.0, 1.0)


@given(batch=batches)
def test_scores_are_probabilities(scorer: Scorer, batch: list[Transaction]) -> None:
    scores = scorer.score(batch)
    assert scores.shape == (len(batch),)
    assert scores.dtype == np.float64
    assert ((scores >= 0.0) & (scores <= 1.0)).all()


@given(batch=batches)
def test_a_row_scores_the_same_alone_as_in_a_batch(
    scorer: Scorer, batch: list[Transaction]
) -> None:
    alone = [scorer.score([each])[0] for each in batch]
    assert np.array_equal(scorer.score(batch), alone)


@given(batch=batches, randomness=st.randoms())
def test_permuting_a_batch_permutes_its_scores(
    scorer: Scorer, batch: list[Transaction], randomness: object
) -> None:
    order = list(range(len(batch)))
    randomness.shuffle(order)  # type: ignore[attr-defined]
    assert np.array_equal(scorer.score([batch[i] for i in order]), scorer.score(batch)[order])


@given(batch=batches, one=probabilities, other=probabilities)
def test_a_higher_threshold_never_blocks_more(
    scorer: Scorer, batch: list[Transaction], one: float, other: float
) -> None:
    def blocked(block_at: float) -> set[int]:
        policy = Policy(flag_at=0.0, block_at=block_at)
        outcomes = [
            policy.decide(float(score), flagged_upstream=False) for score in scorer.score(batch)
        ]
        return {row for row, outcome in enumerate(outcomes) if outcome is Outcome.BLOCK}

    assert blocked(max(one, other)) <= blocked(min(one, other))


@given(batch=batches)
def test_contributions_and_base_add_up_to_the_log_odds(
    scorer: Scorer, batch: list[Transaction]
) -> None:
    model, matrix = scorer._model, PAYSIM.features.matrix(batch)
    total = PAYSIM.reasons.grouped(model.contributions(matrix)).sum(axis=1) + model.expected
    np.testing.assert_allclose(total, model.log_odds(matrix), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(probability(total), scorer.score(batch), atol=1e-9)


@given(batch=batches)
@settings(max_examples=30)
def test_reasons_are_at_most_three_and_those_that_raise_the_risk_come_first(
    scorer: Scorer, batch: list[Transaction]
) -> None:
    rows = list(range(len(batch)))[::2]
    explained = scorer.explain(batch, rows)
    assert len(explained) == len(rows)
    for row, reasons in zip(rows, explained, strict=True):
        amounts = [reason.contribution for reason in reasons]
        assert 1 <= len(reasons) <= 3
        assert amounts == sorted(amounts, key=lambda each: (each < 0.0, -abs(each)))
        alone = [reason.contribution for reason in scorer.explain([batch[row]], [0])[0]]
        assert amounts == pytest.approx(alone)


@given(each=transactions)
def test_base_and_all_reasons_add_up_to_the_log_odds_of_the_score(
    scorer: Scorer, each: Transaction
) -> None:
    found = scorer.explained(each)
    total = found.base + math.fsum(reason.contribution for reason in found.reasons)
    assert total == pytest.approx(found.log_odds, rel=1e-12, abs=1e-12)
    assert found.score == scorer.score([each])[0] == probability(np.array([found.log_odds]))[0]
    assert [reason.contribution for reason in found.reasons][:3] == [
        reason.contribution for reason in scorer.explain([each], [0])[0]
    ]


def test_an_empty_batch_has_no_scores_and_no_reasons(scorer: Scorer) -> None:
    assert scorer.score([]).shape == (0,)
    assert scorer.explain([transaction()], []) == []


@pytest.mark.parametrize("amount", [math.nan, math.inf, -1.0])
def test_a_number_that_is_none_never_gets_a_score(scorer: Scorer, amount: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        scorer.score([transaction("a"), transaction("b", amount=amount)])


def test_a_model_that_computes_nonsense_is_stopped() -> None:
    with pytest.raises(ValueError, match="not a number"):
        probability(np.array([0.5, np.nan]))


def test_the_logistic_function_survives_extremes() -> None:
    scores = probability(np.array([-1e308, -800.0, 0.0, 800.0, 1e308]))
    assert scores.tolist() == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.0])


def test_every_feature_belongs_to_one_reason() -> None:
    named = [name for group in PAYSIM.definition.reasons for name in group.features]
    assert sorted(named) == sorted(PAYSIM.features.names)
