"""The last policy that fits is in force, and no policy can end a worker."""

from __future__ import annotations

import pytest

from fraudapp.control import fitting
from fraudapp.control.fitting import MAX_TOLD, compiled, last_fitting
from models.control.chain import Chain
from models.policies.reading import PolicyError
from models.schema.schema import PAYSIM
from tests.support.chains import OneModel, chain_of

FITS = "flag_at = 0.25"
UNFIT = """
[[rules]]
id = "other"
when = "no_such_field > 1"
then = "block"
reason = "It is so."
owner = "fraud team"
"""
FOR_ANOTHER_MODEL = 'model = "model-2"'


def test_without_a_policy_there_is_none() -> None:
    assert last_fitting(Chain(), PAYSIM, OneModel("model-1")) == (None, None, ())


def test_the_last_one_that_fits_counts_and_those_behind_it_are_told_of() -> None:
    chain = chain_of("flag_at = 0.5", FITS, UNFIT, FOR_ANOTHER_MODEL)
    candidate, ruling, problems = last_fitting(chain, PAYSIM, OneModel("model-1"))
    assert candidate is chain.member(2)
    assert ruling is not None
    assert ruling.policy.flag_at == 0.25
    assert [each[:8] for each in problems] == ["policy 4", "policy 3"]
    assert "it is for model model-2, and model-1 serves here" in problems[0]
    assert "no_such_field" in problems[1]
    assert last_fitting(chain, PAYSIM, OneModel("model-2")).candidate is chain.member(4)


def test_a_policy_whose_shadow_cannot_score_here_does_not_fit() -> None:
    chain = chain_of('flag_at = 0.5\nshadow = ["model-1"]', 'shadow = [\n"model-1",\n"model-3"]')
    candidate, ruling, problems = last_fitting(chain, PAYSIM, OneModel("model-1"))
    assert candidate is chain.member(1)
    assert ruling is not None
    assert ruling.policy.shadow == ["model-1"]
    assert "line 3, column 1: it is for model model-3, and model-1 serves here" in problems[0]


def test_of_many_that_do_not_fit_the_last_ones_are_told_of() -> None:
    found = last_fitting(chain_of(*[UNFIT] * (MAX_TOLD + 5)), PAYSIM, OneModel("model-1"))
    assert (found.candidate, found.ruling, len(found.problems)) == (None, None, MAX_TOLD)
    assert found.problems[0].startswith(f"policy {MAX_TOLD + 5} ")


@pytest.mark.parametrize("failure", [RuntimeError("boom\x1b"), RecursionError(), KeyError(1)])
def test_a_policy_that_cannot_be_compiled_for_whatever_reason_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*given: object) -> None:
        raise failure

    chain = chain_of("flag_at = 0.5")
    monkeypatch.setattr(fitting, "Ruling", fail)
    with pytest.raises(PolicyError, match="it cannot be compiled"):
        compiled(chain.members[0], PAYSIM, OneModel("model-1"))
    (problem,) = last_fitting(chain, PAYSIM, OneModel("model-1")).problems
    assert type(failure).__name__ in problem
    assert problem.isprintable()
    assert "policy 1 cannot be compiled" in caplog.text
