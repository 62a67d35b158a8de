"""Faust's command line as ours: its version beside our own, and sentences where it fails."""

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


def tell_version() -> None:
    """Let `--version` tell ours."""
    cli.params = [each for each in cli.params if each.name != "version"]
    click.version_option(__version__, message=f"fraudapp %(version)s (Faust {faust_version})")(cli)


def tell_failures() -> None:
    """Let commands that fail end with a sentence and an exit code; Faust writes tracebacks."""
    Command.execute = _noting  # type: ignore[assignment, method-assign]
    Command.run_using_worker = _telling  # type: ignore[assignment, method-assign]


def hide_banner() -> None:
    """Let a worker begin without its banner, for programs that read what it writes."""
    worker.on_worker_created = lambda self, worker: None  # type: ignore[method-assign]


async def _noting(command: Any, *args: Any, **kwargs: Any) -> None:
    try:
        await _execute(command, *args, **kwargs)
    except click.ClickException as exc:
        command.failure = exc
    except (KafkaError, OSError) as exc:
        command.failure = click.ClickException(
            f"the broker at FRAUD_BROKER_URL={load().broker_url} does not do it: {exc!r}"
        )
    except Exception as exc:
        command.failure = click.ClickException(f"{type(command).__name__}: {exc!r}")


def _telling(command: Any, *args: Any, **kwargs: Any) -> NoReturn:
    try:
        _run_using_worker(command, *args, **kwargs)
    finally:
        failure: click.ClickException | None = getattr(command, "failure", None)
        if failure:
            failure.show()
            raise SystemExit(failure.exit_code) from None  # what else is raised, Faust prints
