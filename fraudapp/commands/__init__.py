"""Commands of our own, beside those of Faust: each module has one, under its own name."""

from __future__ import annotations

import importlib
import pkgutil

import click
from faust.cli.faust import cli

from fraudapp.cli import faust_commands


def register() -> None:
    """Add every command in this package to Faust's command line, and let its own tell failures."""
    faust_commands.tell_failures()
    for info in pkgutil.iter_modules(__path__, f"{__name__}."):
        command: click.Command = importlib.import_module(info.name).command
        cli.add_command(command)
