"""Exit codes of commands that a scheduler runs, so that it can tell what to wait for."""

from __future__ import annotations

from typing import Final

import click

from fraudapp.sinks.base import SinkUnavailable

EXIT_CODES: Final = {"postgres": 3, "archive": 4, "redis": 5}
"""By sink. 1 is any other failure, 2 a wrong argument; see `SinkFailed`."""
_SETTINGS: Final = {
    "postgres": "FRAUD_POSTGRES_URL",
    "archive": "FRAUD_ARCHIVE_URL",
    "redis": "FRAUD_REDIS_URL",
}


class SinkFailed(click.ClickException):
    """A sink did not do its part of a command; the exit code tells which."""

    def __init__(self, sink: str, exc: SinkUnavailable, advice: str) -> None:
        """`advice` is what to do once the sink is back."""
        super().__init__(f"{exc}; see {_SETTINGS[sink]}. {advice}")
        self.exit_code = EXIT_CODES[sink]
