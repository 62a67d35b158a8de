"""A failed command of Faust's ends with a sentence and an exit code."""

from __future__ import annotations

from typing import Any

import click
import faust
import pytest
from aiokafka.errors import KafkaConnectionError
from click.testing import CliRunner
from faust.cli.base import Command
from faust.cli.faust import cli
from faust.cli.worker import worker

from fraudapp import __version__
from fraudapp.cli import faust_commands


class Send:
    """A command, as far as it is looked at."""

    failure: click.ClickException | None = None


@pytest.fixture(autouse=True)
def _as_faust_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Command, "execute", faust_commands._execute)
    monkeypatch.setattr(Command, "run_using_worker", faust_commands._run_using_worker)
    monkeypatch.setattr(worker, "on_worker_created", worker.on_worker_created)
    monkeypatch.setattr(cli, "params", list(cli.params))


async def executed(monkeypatch: pytest.MonkeyPatch, exc: BaseException | None) -> Send:
    async def execute(command: Send, *args: Any, **kwargs: Any) -> None:
        assert (args, kwargs) == (("topic",), {"key": "k"})
        if exc:
            raise exc

    monkeypatch.setattr(faust_commands, "_execute", execute)
    faust_commands.report_failures()
    command: Any = Send()
    await Command.execute(command, "topic", key="k")
    return command  # type: ignore[no-any-return]


async def test_a_command_that_succeeds_has_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await executed(monkeypatch, None)).failure is None


async def test_a_sentence_of_a_command_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    sentence = click.UsageError("no such topic")
    assert (await executed(monkeypatch, sentence)).failure is sentence


@pytest.mark.parametrize("exc", [KafkaConnectionError("no route"), ConnectionResetError("reset")])
async def test_a_broker_that_fails_is_named_with_its_setting(
    exc: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAUD_BROKER_URL", "kafka://broker.example:9092")
    failure = (await executed(monkeypatch, exc)).failure
    assert failure
    assert "FRAUD_BROKER_URL=kafka://broker.example:9092 fails" in failure.message
    assert repr(exc) in failure.message


async def test_any_other_failure_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    failure = (await executed(monkeypatch, KeyError("nobody"))).failure
    assert failure
    assert failure.message == "Send: KeyError('nobody')"


def run(monkeypatch: pytest.MonkeyPatch, command: Send, ends_with: BaseException) -> None:
    def run_using_worker(command: Send, *args: Any, **kwargs: Any) -> None:
        raise ends_with

    monkeypatch.setattr(faust_commands, "_run_using_worker", run_using_worker)
    faust_commands.report_failures()
    any_command: Any = command
    Command.run_using_worker(any_command)


def test_a_failure_is_printed_and_its_exit_code_wins(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = Send()
    command.failure = click.UsageError("no such topic")
    for ends_with in (SystemExit(0), RuntimeError("of the worker")):
        with pytest.raises(SystemExit) as ended:
            run(monkeypatch, command, ends_with)
        assert ended.value.code == 2
        assert capsys.readouterr().err == "Error: no such topic\n"


def test_without_a_failure_a_command_ends_as_with_faust(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, Send(), SystemExit(7))
    assert ended.value.code == 7
    assert not capsys.readouterr().err


def test_there_is_one_version_option_however_often_it_is_added() -> None:
    for _ in range(2):
        faust_commands.add_version_option()
    assert [each.name for each in cli.params].count("version") == 1
    done = CliRunner().invoke(cli, ["--version"])
    assert done.output == f"fraudapp {__version__} (Faust {faust.__version__})\n"


def test_a_worker_starts_without_a_banner(capsys: pytest.CaptureFixture[str]) -> None:
    faust_commands.hide_banner()
    command: Any = object.__new__(worker)
    command.on_worker_created(object())
    assert capsys.readouterr() == ("", "")
