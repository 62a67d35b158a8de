"""The program and the checker of the torture, which share no code, decide alike."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.control.fitting import compiled
from fraudapp.control.model_shelf import Models, ModelShelf
from fraudapp.decisions.batch import encode
from models.control.records import (
    CapKey,
    Capped,
    Listed,
    Proposed,
    Removed,
    cap,
    entry,
    proposal,
    read,
    removal,
)
from models.control.state import ControlState
from models.deciding import Profiled, decide
from models.policies.reading import PolicyError
from models.policies.ruling import Ruling
from models.records import Reason, Transaction
from models.schema.features import Matrix
from models.schema.reading import read as read_schema
from models.schema.schema import Schema
from models.scorer import Floats
from tests.support.decisions import decision
from tests.support.messages import transaction
from tests.support.scoring import Named
from tests.support.tiny_model import none_archived
from tests.support.transactions import candidate
from tests.torture.plans import NO_MODEL, as_toml, fits, new_plan, plan_of
from tests.torture.policies import LISTS, TYPES
from tests.torture.reading import Record
from tests.torture.recomputing import Recomputing
from tests.torture.values import VALUES, schema

SCHEMA: Final = Schema(read_schema(schema().encode(), "paysim"))
NOW: Final = datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=timezone.utc)


class Fixed(Named):
    """A model that has one score for all, and no reasons."""

    def __init__(self, version: str, score: float) -> None:
        super().__init__(version)
        self._score = score

    def score_matrix(self, matrix: Matrix) -> Floats:
        return np.full(len(matrix), self._score)

    def matrix(self, transactions: Sequence[Transaction]) -> Matrix:
        return SCHEMA.features.matrix(transactions)

    def explain(self, transactions: Sequence[Any], rows: Sequence[int]) -> list[list[Reason]]:
        return [[] for _ in rows]


class AllModels(Models):
    """All that the torture has."""

    def problem(self, version: str | None) -> str | None:
        return "there is none" if version == NO_MODEL else None


class Control:
    """A control topic in memory, read by the program and by the checker."""

    def __init__(self, random_: random.Random) -> None:
        self.records: list[Record] = []
        self.state = ControlState()
        self._random = random_

    def write(self, record: Any) -> None:
        key, value, headers = record
        offset = 3 * len(self.records) + 5  # as if others had written in between
        self.records.append(Record("control", 0, offset, key, value, tuple(headers)))
        self.state.apply(read(offset, 0, key, value, headers))

    def propose(self, *, parent: str | None = None) -> None:
        plan = new_plan(self._random, NOW, models=["m1", "m2", "m3"])
        known = self.state.chain.head if parent is None else parent
        proposed = Proposed(parent=known, text=as_toml(plan), author="a")
        self.write(proposal(f"{self._random.getrandbits(128):032x}", proposed))

    def change(self) -> None:
        name, value = self._random.choice(LISTS), self._random.choice(TYPES)
        kind, ends = self._random.random(), NOW + timedelta(seconds=self._random.uniform(-3, 3))
        if kind < 0.3:
            self.write(removal(name, value, Removed()))
        elif kind < 0.8:
            expires_at = self._random.choice([None, ends])
            self.write(entry(name, value, Listed(author="a", expires_at=expires_at)))
        elif kind < 0.9 and (members := self.state.chain.members):
            ids = ["", *(each["id"] for each in plan_of(members[-1].proposed.text)["rules"])]
            on = self._random.random() < 0.7
            key = CapKey(members[-1].id, self._random.choice(ids))
            self.write(cap(key, Capped(on=on, share=0.5, author="a")))
        else:
            self.propose(parent=self._random.choice([None, "0" * 32]))


def decided(
    control: Control,
    id_: str,
    score: float,
    now: datetime,
    known: dict[str, float] | None = None,
    other: float = 0.5,
    **fields: Any,
) -> Any:
    """The decision by the policy in force, given what is `known` of the accounts.

    Models in shadow score with `other`.
    None if the last one does not fit.
    """
    member = control.state.chain.members[-1]
    try:
        policy = compiled(member, SCHEMA, AllModels()).policy
    except PolicyError:
        assert not fits(plan_of(member.proposed.text))
        return None
    own = Fixed(policy.model or "m1", score)
    shelf = ModelShelf(own, SCHEMA, {}, none_archived())
    shelf._scorers |= {each: Fixed(each, other) for each in policy.shadow}
    chosen = shelf.chosen(policy)
    in_force = control.state.in_force(member, Ruling(policy, SCHEMA), *chosen)
    sent = SCHEMA.parser.parse(json.dumps(transaction(id_, **fields)).encode())
    profiled = Profiled([known or {}])
    how: dict[str, Any] = {"policy": in_force, "now": now, "schema": SCHEMA}
    (found,) = decide([candidate(sent)], scorer=own, profiles=profiled, **how)
    return json.loads(encode(found))


def profile(random_: random.Random) -> dict[str, float]:
    found = {
        name: round(random_.uniform(0, 3) * 10 ** random_.randint(-1, 8), 3) for name in VALUES
    }
    return {name: value for name, value in found.items() if random_.random() < 0.8}


@given(st.integers(0, 2**32), st.floats(0, 1), st.floats(-5, 25), st.integers(0, 1))
def test_both_decide_alike(seed: int, score: float, seconds: float, flagged: int) -> None:
    random_ = random.Random(seed)
    control = Control(random_)
    control.propose()
    moments = [NOW + timedelta(seconds=seconds), NOW, NOW + timedelta(seconds=random_.random())]
    made = []
    for _ in range(random_.randint(0, 12)):
        control.change()
        moment = random_.choice(moments)  # back and forth
        fields: dict[str, Any] = {"isFlaggedFraud": flagged and random_.randint(0, 1)}
        known = profile(random_)
        other = random_.random()
        id_ = f"t{random_.random()}"
        fields["nameOrig"] = f"C{random_.randint(0, 99)}"
        made.append(decided(control, id_, score, moment, known, other=other, **fields))
    checker = Recomputing(control.records, own="m1")
    assert [checker.wrong(each) for each in made if each] == [None] * sum(map(bool, made))


@pytest.mark.parametrize(
    "wrong",
    [
        {"decision": "FLAG"},
        {"hits": ["large_0"]},
        {"explored": 0.1},
        {"policy_version": "2+0"},
        {"policy_version": "0+0"},
        {"policy_version": "x"},
        {"policy_version": "1+6"},
    ],
)
def test_a_decision_that_is_not_by_its_policy_is_told(wrong: dict[str, Any]) -> None:
    control = Control(random.Random(1))
    plan = {"flag_at": 0.5, "block_at": 0.8, "rules": [], "blocked": True, "trusted": None}
    text = as_toml({**plan, "up_to": 1, "explore": 0, "odd": 0})
    control.write(proposal("a" * 32, Proposed(parent="", text=text, author="a")))
    for each in TYPES:
        control.write(entry("blocked", each, Listed(author="a")))
    found = decided(control, "t", 0.1, NOW)
    assert (found["decision"], found["reasons"][0]["code"]) == ("BLOCK", "LIST_BLOCKED")
    checker = Recomputing(control.records)
    assert checker.wrong(found) is None
    assert checker.wrong({**found, **wrong})


@pytest.mark.parametrize(("named", "scores"), [("", "own"), ("m2", "m2")])
def test_the_model_that_scores_is_the_one_that_the_policy_names(named: str, scores: str) -> None:
    control = Control(random.Random(1))
    plan = {"flag_at": 0.5, "block_at": 0.8, "rules": [], "blocked": False, "trusted": None}
    text = as_toml({**plan, "up_to": 1, "explore": 0, "odd": 0, "model": named})
    control.write(proposal("a" * 32, Proposed(parent="", text=text, author="a")))
    checker = Recomputing(control.records, own="own")
    for version, model in (("1+0", scores), ("flag-0.5-block-0.8", "own")):
        made = json.loads(encode(decision("t", score=0.1, policy_version=version, reasons=[])))
        made |= {"decision": "APPROVE", "model_version": model}
        assert checker.wrong(made) is None
        assert "is scored by another" in (checker.wrong({**made, "model_version": "another"}) or "")


@pytest.mark.parametrize(
    ("shadow", "told"),
    [
        ({"m2": {"score": 0.9, "decision": "BLOCK"}}, None),
        ({"m2": {"score": 0.9, "decision": "FLAG"}}, "expected {'m2': 'BLOCK'}"),
        ({"m3": {"score": 0.9, "decision": "BLOCK"}}, "has ['m3'] in shadow, and not ['m2']"),
        ({}, "has [] in shadow, and not ['m2']"),
    ],
)
def test_what_is_said_in_shadow_is_recomputed(shadow: Any, told: str | None) -> None:
    control = Control(random.Random(1))
    plan = {"flag_at": 0.5, "block_at": 0.8, "rules": [], "blocked": False, "trusted": None}
    text = as_toml({**plan, "up_to": 1, "explore": 0.1, "odd": 0, "shadow": ["m2"]})
    control.write(proposal("a" * 32, Proposed(parent="", text=text, author="a")))
    control.write(cap(CapKey("a" * 32, ""), Capped(on=True, share=0.5, author="a")))
    found = {**decided(control, "t", 0.1, NOW), "shadow": shadow}
    wrong = Recomputing(control.records).wrong(found)
    assert wrong is None if told is None else told in (wrong or "")


def test_the_canary_decides_for_those_that_it_is_to_decide_for() -> None:
    plan = {"flag_at": 0.5, "block_at": 0.8, "rules": [], "blocked": False, "trusted": None}
    control = Control(random.Random(1))
    of_models = {"model": "m1", "shadow": ["m2"], "canary": 0.3}
    text = as_toml({**plan, "up_to": 1, "explore": 0, "odd": 0, **of_models})
    control.write(proposal("a" * 32, Proposed(parent="", text=text, author="a")))
    senders = [f"C{number}" for number in range(200)]
    made = [decided(control, each, 0.1, NOW, other=0.9, nameOrig=each) for each in senders]
    checker = Recomputing(control.records)
    assert [checker.wrong(each) for each in made] == [None] * len(made)
    by_canary = [each for each in made if each["model_version"] == "m2"]
    assert 30 < len(by_canary) < 90
    assert {each["decision"] for each in by_canary} == {"BLOCK"}
    assert {tuple(each["shadow"]) for each in by_canary} == {("m1",)}
    champion = {**by_canary[0], "model_version": "m1"}
    assert "is scored by m1, and not by m2" in (checker.wrong(champion) or "")


def test_both_choose_the_same_control_group() -> None:
    plan = {"flag_at": 0.5, "block_at": 0.8, "rules": [], "blocked": False, "trusted": None}
    control = Control(random.Random(1))
    text = as_toml({**plan, "up_to": 1, "explore": 0.1, "odd": 0})
    control.write(proposal("a" * 32, Proposed(parent="", text=text, author="a")))
    made = [decided(control, f"t{number}", 0.9, NOW) for number in range(500)]
    checker = Recomputing(control.records)
    assert [checker.wrong(each) for each in made] == [None] * len(made)
    chosen = [each for each in made if each["decision"] == "FLAG"]
    assert 20 < len(chosen) < 90
    assert {each["explored"] for each in chosen} == {0.1}
    assert checker.wrong({**chosen[0], "decision": "BLOCK"})
