"""Changes to Faust's command line: the version of fraudapp, and sentences where commands fail."""

from __future__ import annotations

from typing import Any, Final, NoReturn

import click
from aiokafka.errors import KafkaError
from faust import __version__ as faust_version
from faust.cli.base import Command
from faust.cli.faust import cli
from faust.cli.worker import worker

from fraudapp import __version__
from fraudapp.settings import load

_execute: Final = Command.execute
_run_using_worker: Final = Command.run_using_worker


def add_version_option() -> None:
    """Let `--version` print the version of fraudapp, beside that of Faust."""
    cli.params = [each for each in cli.params if each.name != "version"]
    click.version_option(__version__, message=f"fraudapp %(version)s (Faust {faust_version})")(cli)


def report_failures() -> None:
    """Let failed commands end with a sentence and an exit code, where Faust prints a traceback."""
    Command.execute = _execute_noting_failure  # type: ignore[assignment, method-assign]
    Command.run_using_worker = _run_reporting_failure  # type: ignore[assignment, method-assign]


def hide_banner() -> None:
    """Start workers without Faust's banner, for programs that parse their output."""
    worker.on_worker_created = lambda self, worker: None  # type: ignore[method-assign]


async def _execute_noting_failure(command: Any, *args: Any, **kwargs: Any) -> None:
    try:
        await _execute(command, *args, **kwargs)
    except click.ClickException as exc:
        command.failure = exc
    except (KafkaError, OSError) as exc:
        command.failure = click.ClickException(
            f"the broker at FRAUD_BROKER_URL={load().broker_url} fails: {exc!r}"
        )
    except Exception as exc:
        command.failure = click.ClickException(f"{type(command).__name__}: {exc!r}")


def _run_reporting_failure(command: Any, *args: Any, **kwargs: Any) -> NoReturn:
    try:
        _run_using_worker(command, *args, **kwargs)
    finally:
        failure: click.ClickException | None = getattr(command, "failure", None)
        if failure:
            failure.show()
            raise SystemExit(failure.exit_code) from None  # Faust prints any other exception
