"""The session file of an embedded stack is believed only while its stack lives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fraudapp.config.local_session import FILE_NAME, AlreadyRunning, running_settings, session_file

SETTINGS = {"FRAUD_BROKER_URL": "kafka://127.0.0.1:9999"}

HOLD = """
import sys, time
from pathlib import Path
from fraudapp.config.local_session import session_file
with session_file(Path(sys.argv[1]), {"FRAUD_WEB_PORT": "8123"}):
    print("up", flush=True)
    time.sleep(600)
"""


def test_settings_are_found_while_the_stack_runs_and_not_after(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert running_settings(folder) == {}
    with session_file(folder, SETTINGS):
        assert running_settings(folder) == SETTINGS
    assert running_settings(folder) == {}
    assert not (folder / FILE_NAME).exists()


def test_the_session_file_is_removed_when_the_stack_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), session_file(tmp_path, SETTINGS):
        raise ZeroDivisionError
    assert running_settings(tmp_path) == {}


def test_a_data_folder_has_one_stack_at_a_time(tmp_path: Path) -> None:
    with session_file(tmp_path, SETTINGS):
        with pytest.raises(AlreadyRunning), session_file(tmp_path, {}):
            pass
        assert running_settings(tmp_path) == SETTINGS


def test_the_session_file_of_a_killed_stack_is_ignored_and_replaced_by_the_next(
    tmp_path: Path,
) -> None:
    argv = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "up\n"
        assert running_settings(tmp_path) == {"FRAUD_WEB_PORT": "8123"}
        holder.kill()
    assert (tmp_path / FILE_NAME).exists()
    assert running_settings(tmp_path) == {}
    with session_file(tmp_path, SETTINGS):
        assert running_settings(tmp_path) == SETTINGS
