"""The program `fraudapp`: Faust's command line with this application already chosen."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Sequence
from functools import partial
from typing import cast

from faust.cli import base
from faust.cli.faust import cli

from fraudapp import commands
from fraudapp.cli import faust_commands
from fraudapp.settings import SettingsError, load


def main() -> None:
    """Run the command line; the same as `faust -A fraudapp.app`."""
    for stream in (sys.stdout, sys.stderr):
        # Names and reports may hold characters that the terminal's encoding lacks.
        if stream is not None:  # closed by the shell
            cast("io.TextIOWrapper", stream).reconfigure(errors="backslashreplace")
    # Import only what is installed, and nothing from the folder in which the program runs.
    base.find_app = partial(base.find_app, imp=importlib.import_module)
    faust_commands.add_version_option()
    if _needs_application(sys.argv[1:]):
        # In place, since Faust reads the application from this list.
        sys.argv[1:1] = ["-A", "fraudapp.app"]
    cli(prog_name="fraudapp")


def _needs_application(arguments: Sequence[str]) -> bool:
    """Return whether a command needs it; others work with wrong settings."""
    if arguments == ["--version"]:
        return False
    if "--help" in arguments or arguments[:1] in (["settings"], ["schema"]):
        try:
            load()
        except SettingsError:
            commands.register()
            return False
    return True


if __name__ == "__main__":
    main()
