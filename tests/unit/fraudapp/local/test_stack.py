"""The embedded stack touches nothing but its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fraudapp.local.processes import free_port
from fraudapp.local.stack import Options, run


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize("name", ["local", "faust"])
def test_folders_of_the_user_are_not_removed(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis").touch()
    for _ in range(2):
        assert run(Options(tmp_path, broker_port=free_port(), web_port=free_port())) == 1
        assert f"{tmp_path / name}: no embedded stack has made that" in capsys.readouterr().err
    assert [each.name for each in tmp_path.rglob("*")] == [name, "thesis"]
