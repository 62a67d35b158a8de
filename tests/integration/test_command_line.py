"""A failing command of Faust's gives people a sentence and programs an exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import faust
import pytest

from fraudapp import __version__
from fraudapp.local.processes import free_port
from tests.conftest import inherited_environment

FRAUDAPP = (sys.executable, "-m", "fraudapp")
FAUST = (sys.executable, "-m", "faust", "-A", "fraudapp.app")


def run(*argv: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = inherited_environment() | variables
    return subprocess.run(
        argv, cwd=cwd, env=environment, capture_output=True, text=True, timeout=150
    )


@pytest.mark.parametrize(
    ("program", "arguments", "code", "words"),
    [
        (FRAUDAPP, ("send", "transactions", "{}"), 1, "FRAUD_BROKER_URL=kafka://127.0.0.1:"),
        (FAUST, ("send", "@nobody", "{}"), 1, "nobody"),
        (FRAUDAPP, ("model", "nothing"), 2, "No model 'nothing'"),
        (FRAUDAPP, ("completion",), 2, "click_completion"),
    ],
)
def test_a_command_that_cannot_do_its_work_says_so_in_a_sentence(
    tmp_path: Path, program: tuple[str, ...], arguments: tuple[str, ...], code: int, words: str
) -> None:
    broker = f"kafka://127.0.0.1:{free_port()}"
    done = run(*program, *arguments, cwd=tmp_path, FRAUD_BROKER_URL=broker)
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode == code
    assert "Error: " in done.stderr
    assert words in done.stderr


def test_the_version_is_ours_whatever_the_settings_are(tmp_path: Path) -> None:
    expected = f"fraudapp {__version__} (Faust {faust.__version__})\n"
    done = run(*FRAUDAPP, "--version", cwd=tmp_path, FRAUD_BLOCK_AT="wrong")
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--help",), 0, "dead-letters"),
        (("train", "--help"), 0, "--weight-legit"),
        (("worker", "--help"), 0, "--web-port"),
        (("settings",), 1, "Score from which on"),
    ],
)
def test_help_and_settings_are_told_though_a_setting_is_wrong(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = run(*FRAUDAPP, *arguments, cwd=tmp_path, FRAUD_BLOCK_AT="wrong")
    assert (done.returncode, words in done.stdout) == (code, True), done.stderr
    assert ("FRAUD_BLOCK_AT='wrong'" in done.stderr) == bool(code)
