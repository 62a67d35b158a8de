"""A policy is checked and tried on a file; exit codes tell a job in CI what came of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from data import sample_path
from fraudapp.cli.conditions import Condition
from fraudapp.commands.backtest import command as backtest
from fraudapp.commands.policy import command as policy
from fraudapp.first_model import train_and_activate
from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import load
from models.policies.backtest import Backtest
from tests.support.messages import encoded, transaction

pytestmark = pytest.mark.slow

RULES = """
[[rules]]
id = "large"
when = "amount > 400_000"
then = "block"
reason = "{amount:,.0f} is a lot."
owner = "o"
[[rules]]
id = "listed"
when = "nameDest in @mules"
then = "flag"
mode = "test"
reason = "Listed."
owner = "o"
"""
ROWS = [transaction(f"t{number}", isFlaggedFraud=0) for number in range(300)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train_and_activate(load({"FRAUD_DATA_DIR": str(folder)}), lambda line: None, kind="logistic")
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("FRAUD_DATA_DIR", str(trained))
    monkeypatch.chdir(tmp_path)
    Path("p.toml").write_text(RULES)
    Path("mules.txt").write_text("\n".join([ROWS[0]["nameDest"], "", ROWS[1]["nameDest"]]))
    Path("rows.jsonl").write_bytes(b"\n".join(map(encoded, ROWS)))
    return lambda command, *arguments: CliRunner().invoke(command, [*arguments])


def compared(run: Any, *arguments: str) -> dict[str, Any]:
    done: Result = run(backtest, "p.toml", "rows.jsonl", *arguments, "--format", "json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.output)
    return found


def test_a_policy_is_checked(run: Any) -> None:
    done = run(policy, "check", "p.toml")
    assert done.exit_code == 0
    assert "2 rules, 1 of them active" in done.output
    assert "it looks into the lists mules" in done.output


def test_a_wrong_policy_is_told_with_line_and_column(run: Any) -> None:
    Path("p.toml").write_text(RULES.replace("amount >", "amout >"))
    for done in (run(policy, "check", "p.toml"), run(backtest, "p.toml", "rows.jsonl")):
        assert done.exit_code == 2
        assert (
            "p.toml: line 4, column 9: rule large: there is no field or feature amout"
            in done.output
        )
    assert run(policy, "check", "absent.toml").exit_code == 2


def test_all_that_is_wrong_is_told_at_once_a_line_each(run: Any) -> None:
    wrong = (
        RULES.replace("amount >", "amout >").replace("mode", "mod").replace('"listed"', '"a\\nb"')
    )
    Path("p.toml").write_text(f"blok_at = 0.9{wrong}")
    done = run(policy, "check", "p.toml")
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [
        "Error: p.toml: line 1, column 1: there is no key blok_at; did you mean block_at?",
        "p.toml: line 4, column 9: rule large: there is no field or feature amout; did you mean "
        "amount?",
        "p.toml: line 9, column 1: rule a\\nb: id is 'a\\nb', and has to be a text of lower-case "
        "letters, digits and _, beginning with a letter, 63 at most",
        "p.toml: line 12, column 1: rule a\\nb: there is no key mod; did you mean mode?",
    ]


def test_a_policy_without_rules_and_lists_is_warned_of(run: Any) -> None:
    Path("p.toml").write_text("flag_at = 0.4\n")
    done = run(policy, "check", "p.toml")
    assert done.exit_code == 0
    assert done.stderr == (
        "warning: p.toml: it has neither rules nor lists: only the thresholds decide\n"
    )
    assert run(policy, "check", "absent.toml").exit_code == 2


def test_what_has_expired_is_not_active_and_is_warned_of(run: Any) -> None:
    ended = "expires_at = 2020-01-01T00:00:00Z\n"
    Path("p.toml").write_text(
        RULES.replace('mode = "test"\n', "").replace('id = "large"\n', f'id = "large"\n{ended}')
        + "expires_at = 9999-01-01T00:00:00Z\n"
        + f'[lists.old]\nfield = "nameDest"\nthen = "block"\nreason = "r"\nowner = "o"\n{ended}'
    )
    done = run(policy, "check", "p.toml")
    assert done.exit_code == 0
    assert "2 rules, 1 of them active" in done.stdout
    since = "expired at 2020-01-01T00:00:00+00:00, and has no effect: remove it, or set expires_at"
    assert done.stderr.splitlines() == [
        f"warning: p.toml: rule large {since} anew",
        f"warning: p.toml: list old {since} anew",
    ]


def test_a_policy_for_another_model_than_the_active_one_is_warned_of(
    run: Any, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    active = ModelRegistry.of(load({"FRAUD_DATA_DIR": str(trained)})).active()
    for model, told in ((active, ""), ("another", "`fraudapp models publish another`")):
        Path("p.toml").write_text(f'model = "{model}"\n{RULES}')
        done = run(policy, "check", "p.toml")
        assert (done.exit_code, told in done.stderr, bool(done.stderr)) == (0, True, bool(told))
    monkeypatch.setenv("FRAUD_DATA_DIR", str(tmp_path / "without_models"))
    done = run(policy, "check", "p.toml")
    assert (done.exit_code, done.stderr) == (0, "")


def test_a_backtest_says_what_a_policy_would_have_changed(run: Any) -> None:
    found = compared(run, "--list", "mules=mules.txt")
    large = [each for each in ROWS if each["amount"] > 400_000]
    assert found["rows"] == len(ROWS)
    assert found["frauds"] == sum(each["isFraud"] for each in ROWS)
    hits = {each["id"]: each for each in found["rules"]}
    assert hits["large"]["hits"] == len(large)
    assert hits["large"]["amount"] == pytest.approx(sum(each["amount"] for each in large))
    assert hits["listed"]["hits"] == 2
    blocked = sum(row["BLOCK"] for row in found["counts"].values())
    assert blocked >= len(large)
    assert found["changed"] == blocked - sum(found["counts"]["BLOCK"].values())
    text = run(backtest, "p.toml", "rows.jsonl").output
    assert f"{found['changed']} of them decided otherwise" in text
    assert "precision" in text


def test_what_is_in_force_changes_nothing(run: Any) -> None:
    Path("p.toml").write_text("flag_at = 0.5\nblock_at = 0.8\n")
    done = run(backtest, "p.toml", str(sample_path()), "--fail-if", "changed > 0")
    assert done.exit_code == 0, done.output
    assert " 0 of them decided otherwise (0.000%)" in done.output


def test_a_job_fails_by_a_condition(run: Any) -> None:
    done = run(backtest, "p.toml", "rows.jsonl", "--fail-if", "block_share > 0.5%")
    assert done.exit_code == 3
    assert "fails: block_share > 0.5%" in done.output
    assert run(backtest, "p.toml", "rows.jsonl", "--fail-if", "block_share > 99%").exit_code == 0
    for wrong in ("blocks > 1", "block_share", "block_share > x", "block_share > 1 or 1"):
        assert run(backtest, "p.toml", "rows.jsonl", "--fail-if", wrong).exit_code == 2


def test_without_labels_nothing_is_said_of_precision(run: Any) -> None:
    Path("rows.jsonl").write_bytes(encoded({**ROWS[0], "isFraud": 0}))
    assert "precision and recall are unknown" in run(backtest, "p.toml", "rows.jsonl").output
    assert compared(run)["frauds"] is None
    assert Condition.of("precision < 0.9").holds(Backtest(rows=1))


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "holds no transactions"), (b'{"transaction_id":"a"}\n', "row 1: step: is missing")],
)
def test_a_file_that_is_none_is_told(run: Any, content: bytes, told: str) -> None:
    Path("rows.jsonl").write_bytes(content)
    done = run(backtest, "p.toml", "rows.jsonl")
    assert (done.exit_code, told in done.output) == (1, True)


def test_a_list_is_named_with_its_file(run: Any) -> None:
    assert run(backtest, "p.toml", "rows.jsonl", "--list", "mules").exit_code == 2
    assert run(backtest, "p.toml", "rows.jsonl", "--list", "mules=absent").exit_code == 1
