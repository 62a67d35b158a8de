"""A model in shadow comes to decide if it is as good, and a worsened one does not."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest

from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import load
from models.comparing.comparison import Compared
from models.records import Decision, Outcome, Shadow
from models.training.train import train
from tests.support.commanding import Commands
from tests.support.decided import written
from tests.support.decisions import decision
from tests.support.transactions import transaction
from tests.unit.models.conftest import generated

ROWS = 3_000
DAYS = 20
"""In the first half of them, the model in shadow is blind to most frauds."""


def outcome(score: float) -> Outcome:
    return Outcome.BLOCK if score >= 0.8 else Outcome.FLAG if score >= 0.5 else Outcome.APPROVE


def made(version: str, now: datetime) -> list[Decision]:
    draw, found = random.Random(3), []
    for number in range(ROWS):
        fraud = draw.random() < 0.1
        score = min(1.0, 0.6 * fraud + 0.5 * draw.random())
        other = min(1.0, max(0.0, score + draw.uniform(-0.01, 0.01)))
        if number < ROWS // 2 and fraud:
            other /= 10
        id_ = f"t{number}"
        found.append(
            decision(
                id_,
                transaction=transaction(id_, isFraud=int(fraud)),
                decided_at=now - timedelta(days=DAYS) * (1 - number / ROWS),
                score=score,
                decision=outcome(score),
                shadow={version: Shadow(other, outcome(other))},
                offset=number,
            )
        )
    return found


@pytest.fixture
def version(worker_environment: dict[str, str]) -> str:
    """A model in the registry of the commands."""
    settings = load(worker_environment)
    trained = train(generated(rows=20_000, fraud_rate=0.02, seed=5), "logistic")
    return ModelRegistry.of(settings).add(trained)


@pytest.fixture
def run(worker_environment: dict[str, str], tmp_path: Path, version: str) -> Commands:
    run = Commands(worker_environment, tmp_path)
    asyncio.run(written(load(worker_environment), made(version, datetime.now(timezone.utc))))
    return run


def test_only_a_model_that_is_as_good_comes_to_decide(run: Commands, version: str) -> None:
    promote = ["promote", version, "--against", "m1", "--min-rows", "1000", "--mature-days", "0"]
    promote += ["--max-psi", "100"]  # decisions and training are of different worlds here
    done = run("models", *promote)
    assert done.exit_code == 1
    assert f"`fraudapp models publish {version}` gives it to all workers" in done.stderr
    run.done("models", "publish", version)
    text = f'# ours\nshadow = ["{version}"]\nflag_at = 0.5\n'
    run.done("policy", "apply", run.file(text))
    assert f"~ {version}" in run.done("models", "published")
    before = run.records()

    worse = run("models", *promote, "--max-block-change", "0.1")
    assert worse.exit_code == 4
    assert f"{version} is not promoted, and nothing was changed" in worse.stderr
    assert "- its average precision is worse: " in worse.stderr
    assert "- its recall at block_at is worse: " in worse.stderr
    assert "- it would block " in worse.stderr
    other = run("models", *promote, "--max-psi", "0.25", "--since", "10d")
    assert other.exit_code == 4
    assert "its scores are not those that it had in training" in other.stderr
    assert run("models", "promote", f"{version}.json").exit_code == 2
    few = run("models", "promote", version, "--against", "m1", "--since", "10d")
    assert few.exit_code == 4
    assert "rows in shadow, and needs 10,000" in few.stderr
    assert "worse" not in few.stderr
    nothing = run("models", *promote, "--against", "m7")
    assert nothing.exit_code == 4
    assert f"has scores of both m7 and {version}" in nothing.stderr
    assert run("models", *promote, "--force").exit_code == 2
    assert run("models", *promote, "--reason", "so").exit_code == 2
    assert run.records() == before

    said = run.done("models", *promote, "--since", "10d", "--author", "ann", "--note", "calm")
    assert "version 2 is in force" in said
    shown = run.done("policy", "show")
    assert shown.endswith(f'# ours\nmodel = "{version}"\nflag_at = 0.5\n')
    *_, last = run.json("policy", "history")
    assert (last["author"], last["number"]) == ("ann", 2)
    assert last["note"].startswith(f"promote {version} instead of m1; 1,")
    assert last["note"].endswith("; calm")
    assert run("models", *promote, "--since", "10d").exit_code == 2  # m1 does not decide any more
    again = run("models", "promote", version, "--since", "10d")
    assert again.exit_code == 4
    assert "it is not in the shadow of the policy in force" in again.stderr

    run.done("policy", "rollback")
    forced = (
        "--max-block-change",
        "0.1",
        "--force",
        "--reason",
        "tried elsewhere",
        "--author",
        "bob",
    )
    run.done("models", *promote, *forced, "--author", "bob", "--note", "n" * 1_000)
    *_, last = run.json("policy", "history")
    assert (last["author"], last["number"]) == ("bob", 4)
    assert "; forced: tried elsewhere;" in last["note"]
    assert "against it: it would block" in last["note"]


def test_two_models_are_compared_by_the_log(run: Commands, version: str) -> None:
    arguments = ("compare", "m1", version, "--mature-days", "0")
    found = msgspec.json.decode(run.done("models", *arguments, "--json"), type=Compared)
    assert (found.rows, found.days) in {(ROWS, DAYS), (ROWS, DAYS + 1)}
    assert found.one.version == "m1"
    changed = sum(n for a, row in found.counts.items() for b, n in row.items() if a != b)
    assert changed / ROWS == pytest.approx(1 - found.agreement.value)
    assert found.frauds > 200
    precision = found.quality["average_precision"].difference
    assert precision is not None
    assert precision.high < 0
    some = run.done("models", *arguments, "--json", "--max-rows", "1000")
    sampled = msgspec.json.decode(some, type=Compared)
    assert (found.share, sampled.share) == (1.0, 0.25)
    assert sampled.rows == pytest.approx(ROWS / 4, rel=0.2)
    assert f"--max-rows {ROWS} takes all of them" in sampled.notes[0]
    swapped = run.done("models", "compare", version, "m1", "--since", "10d")
    assert f"A {version}\nB m1\n1,49" in swapped.replace("1,500", "1,49")
    none = run("models", "compare", "m1", "m9")
    assert none.exit_code == 1
    assert "has scores of both m1 and m9" in none.stderr
    assert "m9 is in no policy, not in the control topic" in none.stderr
    run.done("models", "publish", version)
    one = run("models", "compare", version, "m9")
    assert one.stderr.count("is in no policy") == 1
