"""The program `fraudapp`: Faust's command line with this application already chosen."""

from __future__ import annotations

import sys

from faust.cli.faust import cli


def main() -> None:
    """Run the command line; the same as `faust -A fraudapp.app`."""
    # In place: Faust looks for the application in this very list.
    sys.argv[1:1] = ["-A", "fraudapp.app"]
    cli(prog_name="fraudapp")


if __name__ == "__main__":
    main()
