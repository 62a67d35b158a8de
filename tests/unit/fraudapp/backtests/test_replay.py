"""What was decided is decided again alike by the policy that did, and else by its rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fraudapp.backtests.candidate import Candidate, of_chain
from fraudapp.backtests.known_models import KnownModels
from fraudapp.backtests.notes import notes
from fraudapp.backtests.period import Period
from fraudapp.backtests.replay import Chosen, Replay
from fraudapp.backtests.stored_features import StoredFeatures
from fraudapp.settings import Settings, load
from models.control.timeline import Timeline
from models.policies.backtest import Backtest
from models.policies.definition import PolicyFile
from models.policies.reading import read
from models.policies.ruling import Ruling
from models.records import Decision, Outcome
from models.schema.schema import PAYSIM, preset
from tests.support.backtested import World
from tests.support.transactions import transaction

BEGIN = datetime(2026, 3, 1, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
FIRST = """
flag_at = 0.4
block_at = 0.8
[[rules]]
id = "mule"
when = "nameDest in @mules and amount > 2_000"
then = "block"
reason = "A mule."
owner = "o"
[[rules]]
id = "ending"
when = "amount > 5_000"
then = "flag"
reason = "Large."
owner = "o"
expires_at = 2026-03-01T03:00:00Z
[lists.vips]
field = "nameOrig"
then = "approve"
reason = "Known."
owner = "o"
up_to = 9000
expires_at = 2026-03-01T06:00:00Z
"""
SECOND = FIRST.replace("0.8", "0.7").replace('then = "flag"', 'then = "block"')
PEOPLE = ["C1", "C2", "C3"]
PAID = st.tuples(st.sampled_from(PEOPLE), st.sampled_from(PEOPLE), st.integers(0, 9_999))
STEPS = st.one_of(
    st.tuples(st.just("decide"), st.lists(PAID, min_size=1, max_size=5)),
    st.tuples(st.just("wait"), st.integers(1, 90)),
    st.tuples(st.just("enter"), st.tuples(st.sampled_from(PEOPLE), st.integers(-1, 5))),
    st.tuples(st.just("remove"), st.sampled_from(PEOPLE)),
    st.tuples(st.just("cap"), st.tuples(st.sampled_from(["", "mule"]), st.booleans())),
    st.tuples(st.just("propose"), st.sampled_from([FIRST, SECOND])),
)


def played(steps: Sequence[tuple[str, Any]]) -> tuple[World, list[Decision]]:
    """A world, and what was decided in it."""
    world, now, made = World(), BEGIN, list[Decision]()
    for what, given_ in steps:
        if what == "decide":
            rows = [
                transaction(
                    f"t{len(made) + at}", nameOrig=sender, nameDest=to, amount=float(amount)
                )
                for at, (sender, to, amount) in enumerate(given_)
            ]
            made += world.decide(rows, now)
        elif what == "wait":
            now += timedelta(minutes=given_)
        elif what == "enter":
            who, hours = given_
            for name in ("mules", "vips"):
                world.enter(name, who, until=now + hours * HOUR if hours else None)
        elif what == "remove":
            world.remove("mules", given_)
        elif what == "cap":
            world.cap(given_[0], on=given_[1])
        else:
            world.propose(given_)
    return world, made


def settings() -> Settings:
    return load({})


def timeline(world: World) -> Timeline:
    made = Timeline()
    for each in world.records:
        made.apply(each)
    return made


def run(
    policy: str | Ruling,
    made: Sequence[Decision],
    world: World | None = None,
    chosen: Chosen | None = None,
    size: int = 1_000,
) -> Backtest:
    known = timeline(world) if world else None
    models = KnownModels(settings(), {})
    if isinstance(policy, str):
        candidate = of_chain(policy, (known or Timeline()).chain, settings(), models)
    else:
        candidate = Candidate("p.toml", policy)
    features = StoredFeatures(PAYSIM, candidate.ruling, models)
    replay = Replay(candidate, PAYSIM, features, known, chosen=chosen)
    for start in range(0, len(made), size):
        replay.add(made[start : start + size])
    found = replay.result()
    found.notes = [*notes(replay, found)]
    return found


def simple(text: str = "flag_at = 0.5\n") -> Ruling:
    return Ruling(read(text.encode(), PAYSIM), PAYSIM)


def paid(amounts: Sequence[float]) -> list[Decision]:
    rows = [transaction(f"t{number}", amount=each) for number, each in enumerate(amounts)]
    return World().decide(rows, BEGIN)


@given(st.lists(STEPS, max_size=25), st.integers(1, 7), st.randoms(use_true_random=False))
def test_each_policy_decides_again_as_it_did_whatever_order_decisions_are_in(
    steps: list[tuple[str, Any]], size: int, random: Random
) -> None:
    world, made = played([("propose", FIRST), *steps])
    random.shuffle(made)
    for number in range(1, len(world.state.chain.members) + 1):
        by = [each for each in made if each.policy_version.startswith(f"{number}+")]
        found = run(str(number), made, world, Chosen(made_by=str(number)), size)
        assert (found.rows, found.changed) == (len(by), 0)
        if by:
            assert found.made_by == {str(number): len(by)}


@given(st.lists(STEPS, max_size=25), st.integers(1, 7))
def test_sizes_of_batches_change_nothing(steps: list[tuple[str, Any]], size: int) -> None:
    world, made = played([("decide", [("C1", "C2", 900)]), ("propose", FIRST), *steps])
    assert run("1", made, world, size=size) == run("1", made, world)


@given(st.lists(st.integers(0, 999), max_size=50), st.integers(0, 999), st.integers(0, 999))
def test_other_thresholds_change_what_a_recount_says(
    amounts: list[int], one: int, other: int
) -> None:
    low, high = sorted([one / 1_000, other / 1_000])
    made = paid([float(each) for each in amounts])
    found = run(Ruling(PolicyFile(flag_at=low, block_at=high), PAYSIM), made)
    then = [
        Outcome.BLOCK if each.score >= high else Outcome.FLAG if each.score >= low else "APPROVE"
        for each in made
    ]
    assert found.changed == sum(a.decision != b for a, b in zip(made, then, strict=True))
    assert found.made_by == ({"flag-0.5-block-0.8": len(made)} if made else {})


def test_without_a_policy_the_thresholds_of_the_settings_are_in_force() -> None:
    made = paid([100.0, 600.0, 900.0])
    found = run("in-force", made, World())
    assert (found.rows, found.changed, found.policy) == (3, 0, "flag-0.5-block-0.8")


def test_a_list_that_the_policy_that_decided_did_not_know_is_as_it_is_now() -> None:
    world = World()
    made = world.decide([transaction("a", nameDest="C1", amount=5_000.0)], BEGIN)
    world.propose("flag_at = 0.5")
    made += world.decide([transaction("b", nameDest="C1", amount=5_000.0)], BEGIN)
    world.enter("mules", "C1")
    world.propose(FIRST)
    made += world.decide([transaction("c", nameDest="C1", amount=5_000.0)], BEGIN)
    world.remove("mules", "C1")
    world.enter("mules", "C1")
    found = run("2", made, world)
    assert found.counts["BLOCK"]["BLOCK"] == 1
    assert found.counts["APPROVE"]["BLOCK"] == 2
    assert found.notes[0].startswith("The lists mules, vips are as they are now")
    assert found.notes[1].startswith("Caps are not simulated: 2 decisions")


def test_that_no_canary_is_simulated_is_told() -> None:
    text = 'shadow = ["m2"]\ncanary = 0.1\n'
    for ruling, is_told in ((simple(text), True), (simple('shadow = ["m2"]\n'), False)):
        told = run(ruling, paid([900.0]), World()).notes
        assert any(each.startswith("The canary of this policy") for each in told) is is_told


def test_the_first_decision_of_an_id_counts() -> None:
    made = paid([900.0, 100.0])
    again = replace(made[0], decision=Outcome.APPROVE)
    found = run(simple(), [*made, again, *made])
    assert (found.rows, found.changed, found.repeated) == (2, 0, 3)


def test_a_second_decision_counts_neither_if_the_first_was_before_the_period() -> None:
    made = paid([900.0, 100.0])
    later = [replace(each, decided_at=BEGIN + 2 * HOUR) for each in made]
    found = run(simple(), [made[0], *later], chosen=Chosen(Period(BEGIN + HOUR)))
    assert (found.rows, found.repeated) == (1, 1)


def test_the_period_is_by_the_time_of_the_decision_without_its_end() -> None:
    made = [
        replace(each, decided_at=BEGIN + number * HOUR)
        for number, each in enumerate(paid([1.0] * 5))
    ]
    found = run(simple(), made, chosen=Chosen(Period(BEGIN + HOUR, BEGIN + 3 * HOUR)))
    assert (found.rows, found.first, found.last) == (2, BEGIN + HOUR, BEGIN + 2 * HOUR)


def test_decisions_of_other_schemas_are_counted_and_left_out() -> None:
    made = paid([900.0, 100.0])
    other = replace(made[0], transaction_id="o", schema_version=preset("cards").version)
    found = run(simple(), [other, *made])
    assert (found.rows, found.of_other_schemas) == (2, 1)


def test_no_more_are_compared_than_the_limit() -> None:
    found = run(simple(), paid([1.0] * 9), chosen=Chosen(limit=5), size=2)
    assert found.rows == 5
    assert "--limit" in found.notes[-1]


def test_features_are_computed_anew() -> None:
    rule = """
        [[rules]]
        id = "much"
        when = "log_amount > 8"
        then = "block"
        reason = "Much."
        owner = "o"
    """
    found = run(simple(rule), paid([100.0, 6_000.0]))
    assert found.counts["APPROVE"] == {"APPROVE": 1, "FLAG": 0, "BLOCK": 1}
