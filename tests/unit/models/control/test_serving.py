"""A model serves since the first of the policies in a row that have it serve."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.control import serving
from models.control.chain import Candidate
from models.control.records import Proposed
from models.control.serving import serving_since
from models.policies.naming import NamedModels


def chain(*texts: str) -> list[Candidate]:
    """Policies with these texts, one after the other."""
    made = (Proposed(parent="", text=text, author="ann") for text in texts)
    return [Candidate(str(number), each, number, number) for number, each in enumerate(made)]


def of(model: str | None) -> str:
    return f'model = "{model}"\n' if model else "flag_at = 0.5\n"


def number(found: Candidate | None) -> int | None:
    return found.offset if found else None


def test_what_was_taken_back_serves_since_then() -> None:
    members = chain(of("a"), of("b"), of("a"), of("a"))
    assert number(serving_since(members, lambda named: named.decides == "a")) == 2
    assert serving_since(members, lambda named: named.decides == "b") is None
    assert number(serving_since(members, lambda named: named.decides != "b")) == 2


def test_what_no_policy_has_changed_serves_since_before_the_first() -> None:
    members = chain(of(None), of("own"))
    assert serving_since(members, lambda named: named.decides in (None, "own")) is None
    assert serving_since([], lambda named: True) is None
    assert number(serving_since(members, lambda named: named.decides == "own")) == 1


def test_what_is_no_policy_was_never_in_force() -> None:
    members = chain(of("a"), "model =", "shadow = 3", of("a"))
    assert number(serving_since(members, lambda named: named.decides == "a")) == 0


def test_a_model_in_shadow_may_change_its_place() -> None:
    members = chain('shadow = ["b"]\n', 'shadow = ["a"]\n', 'shadow = ["b", "a"]\n')
    assert number(serving_since(members, lambda named: "a" in named.shadow)) == 1
    assert number(serving_since(members, lambda named: "b" in named.shadow)) == 2


def test_no_more_than_the_last_ones_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MAX_LOOKED_AT", 3)
    members = chain(*[of(None)] * 5)
    assert number(serving_since(members, lambda named: named.decides is None)) == 2


@given(st.lists(st.sampled_from(["a", "b", None]), max_size=8))
def test_all_since_then_have_it_serve_and_the_one_before_does_not(models: list[str | None]) -> None:
    def serves(named: NamedModels) -> bool:
        return named.decides == "a"

    found = serving_since(chain(*map(of, models)), serves)
    if found is None:
        assert not models or models[-1] != "a"
    else:
        assert set(models[found.offset :]) == {"a"}
        assert not found.offset or models[found.offset - 1] != "a"
