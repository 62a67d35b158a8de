"""The commands of fraudapp, beside those of Faust: each module has one, as `command`."""

from __future__ import annotations

import importlib
import pkgutil

import click
from faust.cli.faust import cli

from fraudapp.cli import faust_commands


def register() -> None:
    """Add every command of this package to Faust's, and let all of them report failures."""
    faust_commands.report_failures()
    for info in pkgutil.iter_modules(__path__, f"{__name__}."):
        command: click.Command = importlib.import_module(info.name).command
        cli.add_command(command)
