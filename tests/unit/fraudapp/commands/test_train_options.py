"""`train` and `evaluate` on named days, on several files, and on what they refuse."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from data.cards.generator import write_csv
from data.cards.plan import Plan
from fraudapp.commands import backtest, evaluate, train
from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import load
from models.artifact import Card

pytestmark = pytest.mark.slow

PLAN = Plan(seed=20, customers=150, terminals=100, radius=40.0, days=40)
DAYS = ("--train-days", "14", "--gap-days", "5", "--test-days", "6")
HANDBOOK = (
    "TRANSACTION_ID,TX_DATETIME,CUSTOMER_ID,TERMINAL_ID,TX_AMOUNT,TX_TIME_SECONDS,TX_TIME_DAYS,"
    "TX_FRAUD,TX_FRAUD_SCENARIO"
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cards") / "cards.csv"
    write_csv(PLAN, path)
    return path


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAUD_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FRAUD_SCHEMA", "cards")


def run(*arguments: object, code: int = 0) -> Result:
    done = CliRunner().invoke(train.command, [str(each) for each in arguments])
    assert done.exit_code == code, done.output
    return done


def judged(tmp_path: Path, *arguments: object) -> str:
    out = ["--no-plots", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(evaluate.command, [*map(str, arguments), *out])
    assert done.exit_code == 0, done.output
    return done.output


def card() -> Card:
    registry = ModelRegistry.of(load())
    return registry.card(registry.active() or "")


def precision(output: str) -> str:
    found = re.search(r"average precision +([\d.]+)", output)
    assert found
    return found[1]


def by_days(file: Path, folder: Path) -> Path:
    """The same transactions as the Handbook has them: other names, and a file for each day."""
    folder.mkdir()
    _, *lines = file.read_text().splitlines()
    days: dict[str, list[str]] = {}
    for number, line in enumerate(lines):
        _, at, customer, terminal, amount, fraud = line.split(",")
        moment = at.replace("T", " ").rstrip("Z")
        row = f"{number},{moment},{customer[1:]},{terminal[1:]},{amount},0,0,{fraud},{fraud}"
        days.setdefault(at[:10], [HANDBOOK]).append(row)
    for day, rows in days.items():
        (folder / f"{day}.csv").write_text("\n".join([*rows, ""]))
    return folder


def halves(file: Path, folder: Path) -> tuple[Path, Path]:
    """The same transactions in two files."""
    head, *lines = file.read_text().splitlines(keepends=True)
    middle, found = len(lines) // 2, (folder / "one.csv", folder / "other.csv")
    for path, part in zip(found, (lines[:middle], lines[middle:]), strict=True):
        path.write_text("".join([head, *part]))
    return found


def test_what_is_judged_is_told_by_train_and_by_evaluate_alike(file: Path, tmp_path: Path) -> None:
    done = run(file, *DAYS)
    told = re.search(r"Average precision on 2025-02-04 to 2025-02-09: ([\d.]+)", done.output)
    assert told, done.output
    found = card()
    assert found.training["days"] == {"train": 14, "gap": 5, "test": 6, "test_from": "2025-02-04"}
    assert found.metrics["average_precision"] == pytest.approx(float(told[1]), abs=5e-4)
    output = judged(tmp_path, file)
    assert "days 2025-02-04 to 2025-02-09" in output
    assert "was trained on" not in output
    assert float(precision(output)) == pytest.approx(found.metrics["average_precision"], abs=5e-5)
    assert found.metrics["average_precision"] > 10 * found.metrics["fraud_rate"]
    trained = judged(tmp_path, file, "--test-from", "2025-01-20", "--test-days", "10")
    assert "days 2025-01-20 to 2025-01-29" in trained
    assert "the model was trained on about 100% of these rows" in trained


def test_a_file_a_day_is_one_data_set(file: Path, tmp_path: Path) -> None:
    folder = by_days(file, tmp_path / "handbook")
    run(file, *DAYS, "--kind", "logistic")
    whole = ModelRegistry.of(load()).active()
    done = run(folder, *DAYS, "--kind", "logistic")
    assert "and 39 more files" in done.output
    assert ModelRegistry.of(load()).active() == whole
    some = sorted(folder.iterdir())[:30]
    run(*some, *DAYS, "--kind", "logistic")
    assert card().training["days"]["test_from"] == "2025-01-25"
    assert card().training["data"] == "30 files from 2025-01-01.csv to 2025-01-30.csv"
    later = judged(tmp_path, folder, "--test-days", "9")
    assert "days 2025-02-01 to 2025-02-09" in later


def test_in_which_order_files_are_named_changes_nothing(file: Path, tmp_path: Path) -> None:
    one, other = halves(file, tmp_path)
    run(one, other, *DAYS, "--kind", "logistic")
    assert "days 2025-02-04 to 2025-02-09" in judged(tmp_path, one, other)
    assert (
        judged(tmp_path, other, one).splitlines()[1:]
        == judged(tmp_path, one, other).splitlines()[1:]
    )


def test_a_gap_that_is_not_named_is_as_long_as_labels_take(file: Path) -> None:
    named = ("--train-days", "9", "--kind", "logistic", "--label-delay")
    for delay, gap in (("10d", 10), ("216h", 9), ("217h", 10), ("1d", 7)):
        run(file, *named, delay)
        assert card().training["days"]["gap"] == gap
    run(file, *named, "10d", "--gap-days", "3")
    assert card().training["days"]["gap"] == 3


@pytest.mark.parametrize("gap", [0, 6])
def test_a_gap_that_is_shorter_than_labels_take_is_warned_of(file: Path, gap: int) -> None:
    days = ("--train-days", "14", "--test-days", "6", "--kind", "logistic", "--gap-days")
    words = f"the gap before the test is {gap} days"
    assert words in run(file, *days, gap).output
    assert any(words in each for each in card().training["warnings"])
    assert words not in run(file, *days, 7).output
    assert "Warning" not in run(file, *days, 6, "--label-delay", "6d").output


def test_of_itself_the_gap_is_as_long_as_labels_take(file: Path) -> None:
    done = run(file, "--kind", "logistic")
    assert "Warning" not in done.output
    assert card().training["gap_steps"] == 7 * 24
    late = run(file, "--kind", "logistic", "--label-delay", "20d")
    assert "Warning: labels are known 20 days after" in late.output
    assert card().training["gap_steps"] < 20 * 24


def test_later_rows_are_left_out(file: Path, tmp_path: Path) -> None:
    lines = file.read_text().splitlines(keepends=True)
    short = tmp_path / "short.csv"
    short.write_text("".join([lines[0], *(e for e in lines[1:] if e.split(",")[1] < "2025-02-01")]))
    run(file, *DAYS, "--test-from", "2025-01-26")
    whole = ModelRegistry.of(load()).active()
    run(short, *DAYS)
    assert ModelRegistry.of(load()).active() == whole


def test_the_delay_of_labels_is_on_the_card(file: Path) -> None:
    run(file, *DAYS, "--label-delay", "12h")
    assert card().training["label_delay"] == 12 * 3_600
    soon = card().metrics["average_precision"]
    run(file, *DAYS)
    assert card().training["label_delay"] == 7 * 86_400
    assert soon != card().metrics["average_precision"]


def test_a_policy_is_tried_on_a_file_with_what_accounts_did_before(
    file: Path, tmp_path: Path
) -> None:
    run(file, *DAYS, "--kind", "logistic")
    policy = tmp_path / "p.toml"
    policy.write_text(
        'flag_at = 0.999\nblock_at = 1.0\n[[rules]]\nid = "bad"\nwhen = "receiver_frauds_9d >= 3"\n'
        'then = "flag"\nreason = "Frauds at the terminal: {receiver_frauds_9d:.0f}."\nowner = "o"\n'
    )
    arguments = [str(policy), str(file), "--fail-if", "flag_share > 0", "--format", "json"]
    done = CliRunner().invoke(backtest.command, arguments)
    assert done.exit_code == 3, done.output
    assert '"bad"' in done.output


def test_a_backtest_sees_labels_as_late_as_the_training_of_the_model(
    file: Path, tmp_path: Path
) -> None:
    policy = tmp_path / "p.toml"
    policy.write_text(
        'flag_at = 0.999\nblock_at = 1.0\n[[rules]]\nid = "bad"\nwhen = "receiver_frauds_9d >= 1"\n'
        'then = "flag"\nreason = "Frauds at the terminal."\nowner = "o"\n'
    )
    flagged = {}
    for delay in ("1d", "8d", "20d"):
        run(file, *DAYS, "--kind", "logistic", "--label-delay", delay)
        arguments = [str(policy), str(file), "--format", "json"]
        done = CliRunner().invoke(backtest.command, arguments)
        assert done.exit_code == 0, done.output
        flagged[delay] = json.loads(done.output)["rules"][0]["hits"]
    assert flagged["1d"] > flagged["8d"] > flagged["20d"] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--label-delay", "soon"), "is no length of time: write 5m, 12h or 7d"),
        (("--label-delay", "0d"), "is no length of time"),
        (("--train-days", "0"), "0 is not in the range"),
        (("--test-from", "tomorrow"), "does not match the format"),
        (("--since", "7d"), "--since, --until and --mature-days go with --from-log"),
        (("rows.csv", "--mature-days", "30"), "--mature-days go with --from-log"),
        (("rows.csv", "--mature-days", "7"), "--mature-days go with --from-log"),
        (("--from-log", "rows.csv"), "--from-log goes without FILE, --activate"),
        (("--from-log", "--activate"), "--from-log goes without FILE, --activate"),
        (("--from-log", "--weight-legit", "1"), "--weight-legit and --label-delay"),
        (("--from-log", "--label-delay", "7d"), "--weight-legit and --label-delay"),
        (("--from-log", "--since", "soon"), "is no time"),
    ],
)
def test_options_that_make_no_sense_are_refused(arguments: tuple[str, ...], words: str) -> None:
    assert words in run(*arguments, code=2).output


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.pkl", "is a pickle, which runs code"),
        ("absent.csv", "No such file"),
        (".", "there are no files in the folder"),
    ],
)
def test_files_that_cannot_be_read_are_refused(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".hidden").write_text("x")
    assert words in run(tmp_path / "empty" / name, code=1).output


def test_days_without_data_are_refused(file: Path) -> None:
    done = run(file, *DAYS, "--test-from", "2031-01-01", code=1)
    assert "the data are of 2025-01-01 to 2025-02-09" in done.output
