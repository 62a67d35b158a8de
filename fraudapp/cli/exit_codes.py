"""Exit codes of scheduled commands, which tell a scheduler what to wait for before it retries."""

from __future__ import annotations

from typing import Final

import click

from fraudapp.sinks.base import SinkUnavailable

EXIT_CODES: Final = {"postgres": 3, "archive": 4, "redis": 5}
"""Exit code by sink; 1 is any other failure and 2 a wrong argument. See `SinkFailed`."""
_SETTINGS: Final = {
    "postgres": "FRAUD_POSTGRES_URL",
    "archive": "FRAUD_ARCHIVE_URL",
    "redis": "FRAUD_REDIS_URL",
}


class SinkFailed(click.ClickException):
    """A command failed at a sink; the exit code tells at which one."""

    def __init__(self, sink: str, exc: SinkUnavailable, advice: str) -> None:
        """`advice` says what to do once the sink is back."""
        super().__init__(f"{exc}; see {_SETTINGS[sink]}. {advice}")
        self.exit_code = EXIT_CODES[sink]
