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
        # Names and reports hold what not every terminal's encoding has; they are told all the same.
        if stream is not None:  # closed by the shell
            cast("io.TextIOWrapper", stream).reconfigure(errors="backslashreplace")
    # The application is installed: nothing is to be imported from the folder that this is run in.
    base.find_app = partial(base.find_app, imp=importlib.import_module)
    faust_commands.tell_version()
    if _needs_application(sys.argv[1:]):
        # In place: Faust looks for the application in this very list.
        sys.argv[1:1] = ["-A", "fraudapp.app"]
    cli(prog_name="fraudapp")


def _needs_application(arguments: Sequence[str]) -> bool:
    """Version, help and the list of settings are told whatever the settings are."""
    if arguments == ["--version"]:
        return False
    if "--help" in arguments or arguments[:1] == ["settings"]:
        try:
            load()
        except SettingsError:
            commands.register()
            return False
    return True


if __name__ == "__main__":
    main()
