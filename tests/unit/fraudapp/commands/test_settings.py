"""`settings` lists every setting as it is described, and tells those that are wrong."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from fraudapp.commands import settings
from fraudapp.settings import described


def test_every_setting_is_listed_with_default_and_meaning() -> None:
    done = CliRunner().invoke(settings.command)
    assert done.exit_code == 0
    lines = [f"{name}={default}\n    {meaning}\n" for name, default, meaning in described()]
    assert done.output == "".join(lines)


def test_the_table_has_a_row_for_every_setting() -> None:
    done = CliRunner().invoke(settings.command, ["--markdown"])
    head, rule, *rows = done.output.splitlines()
    assert (head, rule) == ("| variable | default | meaning |", "| --- | --- | --- |")
    assert len(rows) == len(described())
    assert {row.count(" | ") for row in rows} == {2}
    for row, (name, default, _) in zip(rows, described(), strict=True):
        shown = f"`{default}`" if default else ""
        assert row.startswith(f"| `{name}` | {shown} | ")


def test_wrong_settings_are_reported_after_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAUD_BLOCK_AT", "2")
    monkeypatch.setenv("FRAUD_WEB_PORT", "x")
    done = CliRunner().invoke(settings.command)
    assert done.exit_code == 1
    *_, first, second = done.output.splitlines()
    assert first.startswith("Error: FRAUD_BLOCK_AT='2': ")
    assert second.startswith("FRAUD_WEB_PORT='x': ")
    assert described()[-1][0] in done.output
