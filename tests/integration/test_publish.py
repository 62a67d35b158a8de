"""`publish` lists rows that it does not send, and tells of them by its exit code."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fraudapp.commands.publish import command
from fraudapp.kafka import topics as kafka_topics
from fraudapp.local.server import Server
from fraudapp.settings import load
from tests.support.readback import in_topic
from tests.unit.models.files.test_rows import GOOD, NAMES

TEXT = f"{NAMES}\n{GOOD}\n{GOOD[:20]}\n{GOOD}\n{GOOD},\n"


@pytest.fixture
def sent(
    kafka: Server, topics: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[], list[str]]:
    """Tells the ids that are in the topic."""
    for name in [name for name in os.environ if name.startswith("FRAUD_")]:
        monkeypatch.delenv(name)
    environment = {**topics, "FRAUD_BROKER_URL": kafka.url}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    asyncio.run(kafka_topics.ensure(load()))

    def ids() -> list[str]:
        records = asyncio.run(in_topic(environment, "transactions"))
        return sorted(record.key.decode() for record in records)

    return ids


def run(tmp_path: Path, text: str, *options: str) -> Result:
    path = tmp_path / "rows.csv"
    path.write_text(text)
    return CliRunner().invoke(command, [str(path), "--quiet", *options])


def test_after_an_invalid_row_nothing_is_sent_and_all_is_counted(
    tmp_path: Path, sent: Callable[[], list[str]]
) -> None:
    done = run(tmp_path, TEXT)
    assert (done.exit_code, sent()) == (1, ["rows-1"])
    assert "rows.csv, line 3, row 2: has 4 cells" in done.stderr
    assert "rows.csv, line 5, row 4: has 12 cells" in done.stderr
    assert "1 transactions were sent; 2 rows are invalid and were not" in done.stderr
    assert "nor were 1 valid ones" in done.stderr


def test_invalid_rows_that_are_skipped_are_told_by_the_exit_code(
    tmp_path: Path, sent: Callable[[], list[str]]
) -> None:
    done = run(tmp_path, TEXT, "--skip-invalid")
    assert (done.exit_code, sent()) == (1, ["rows-1", "rows-3"])
    assert "line 3, row 2" in done.stderr
    assert "2 transactions were sent; 2 rows are invalid and were not" in done.stderr


def test_a_file_without_transactions_is_no_success(
    tmp_path: Path, sent: Callable[[], list[str]]
) -> None:
    for text in ("", f"{NAMES}\n"):
        done = run(tmp_path, text)
        assert (done.exit_code, sent()) == (1, [])
        assert "holds no transactions" in done.stderr


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, sent: Callable[[], list[str]]) -> None:
    for name in ("absent.csv", "."):
        done = CliRunner().invoke(command, [str(tmp_path / name), "--quiet"])
        assert done.exit_code == 1
        assert "cannot be read" in done.stderr
    assert sent() == []


def test_the_standard_input_needs_a_prefix_for_ids(sent: Callable[[], list[str]]) -> None:
    text = f"{NAMES}\n{GOOD}\n"
    assert "--id-prefix" in CliRunner().invoke(command, ["-", "--quiet"], input=text).stderr
    done = CliRunner().invoke(command, ["-", "--quiet", "--id-prefix", "x"], input=text)
    assert (done.exit_code, done.stdout, sent()) == (0, "1 transactions sent\n", ["x-1"])
