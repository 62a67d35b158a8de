"""Arguments that make no sense are refused before a command does anything."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from fraudapp.commands import dead_letters, evaluate, local, publish, train
from fraudapp.local.processes import free_port


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (publish.command, ["f.csv", "--rate"]),
        (local.command, ["--rate"]),
        (evaluate.command, ["--alarm-cost"]),
        (evaluate.command, ["--weight-legit"]),
        (train.command, ["--weight-legit"]),
    ],
)
def test_numbers_are_finite(command: click.Command, arguments: list[str], number: str) -> None:
    done = CliRunner().invoke(command, [*arguments, number])
    assert done.exit_code == 2
    assert f"Invalid value for '{arguments[-1]}'" in done.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["list", "--reason", "typo"], "'typo' is not one of 'invalid'"),
        (["replay", "0:1", "--value", "{}", "--value-file", __file__], "one or the other"),
    ],
)
def test_options_for_dead_letters_are_refused(arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(dead_letters.command, arguments)
    assert done.exit_code == 2
    assert words in done.output


def test_a_missing_file_is_reported_though_the_broker_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAUD_BROKER_URL", f"kafka://127.0.0.1:{free_port()}")
    done = CliRunner().invoke(publish.command, [str(tmp_path / "absent.csv"), "--quiet"])
    assert done.exit_code == 1
    assert "absent.csv cannot be read: No such file" in done.output


def test_a_folder_that_cannot_be_made_is_called_by_its_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FRAUD_DATA_DIR", "/proc/nope")
    done = CliRunner().invoke(evaluate.command, [])
    assert done.exit_code == 1
    assert "FRAUD_DATA_DIR=/proc/nope cannot be used" in done.output
