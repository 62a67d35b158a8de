"""A scheduler learns from the exit code which sink to wait for."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from fraudapp.cli.exit_codes import EXIT_CODES, SinkFailed
from fraudapp.settings import load
from fraudapp.sinks.all import Sinks
from fraudapp.sinks.base import SinkUnavailable


async def test_every_sink_has_a_code_of_its_own() -> None:
    sinks = Sinks(load({}))
    assert {each.name for each in sinks.each} == set(EXIT_CODES)
    codes = list(EXIT_CODES.values())
    assert len(set(codes)) == len(codes)
    assert not {0, 1, 2} & set(codes)  # success, any failure, and a wrong argument


@pytest.mark.parametrize("sink", EXIT_CODES)
def test_a_failure_names_the_setting_and_what_to_do(sink: str) -> None:
    @click.command
    def command() -> None:
        raise SinkFailed(sink, SinkUnavailable(f"{sink}: down"), "Run it again then.")

    done = CliRunner().invoke(command)
    assert done.exit_code == EXIT_CODES[sink]
    expected = f"Error: {sink}: down; see FRAUD_{sink.upper()}_URL. Run it again then.\n"
    assert done.output == expected
