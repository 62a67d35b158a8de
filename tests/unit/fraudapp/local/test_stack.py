"""The embedded stack touches no files and no servers but its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fraudapp.local.processes import free_port
from fraudapp.local.stack import Options, run, without_connections
from fraudapp.settings import SECRETS, Settings


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
        assert f"{tmp_path / name} is not from an embedded stack" in capsys.readouterr().err
    assert [each.name for each in tmp_path.rglob("*")] == [name, "thesis"]


def test_servers_of_other_places_are_left_out_and_nothing_else() -> None:
    names = {f"FRAUD_{name.upper()}" for name in Settings.model_fields}
    names |= {f"{name}_FILE" for name in SECRETS} | {"PATH"}
    left = set(without_connections(dict.fromkeys(names, "x")))
    gone = {name for name in names - left if not name.startswith(("FRAUD_BROKER_", "FRAUD_S3_"))}
    assert gone == {
        *("FRAUD_REDIS_URL", "FRAUD_REDIS_URL_FILE", "FRAUD_REDIS_CA_FILE"),
        *("FRAUD_POSTGRES_URL", "FRAUD_POSTGRES_URL_FILE", "FRAUD_POSTGRES_SSLMODE"),
        *("FRAUD_POSTGRES_CA_FILE", "FRAUD_ARCHIVE_URL", "FRAUD_MODEL_VERSION"),
    }
    assert not [name for name in left if name.startswith(("FRAUD_BROKER_", "FRAUD_S3_"))]
    assert {"PATH", "FRAUD_FLAG_AT", "FRAUD_TRAINING_FILE", "FRAUD_POSTGRES_DAYS"} <= left
