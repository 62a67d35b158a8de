"""The options --since and --until."""

from __future__ import annotations

from datetime import datetime

import click

from fraudapp.backtests.period import Period, moment


def period_of(since: str | None, until: str | None, now: datetime) -> Period:
    """Return the period of both options; raises `click.UsageError`."""
    bounds = {}
    for option, text in (("since", since), ("until", until)):
        if text is not None:
            try:
                bounds[option] = moment(text, now)
            except ValueError as exc:
                raise click.UsageError(f"--{option}: {exc}") from exc
    if (period := Period(**bounds)).since >= period.until:
        raise click.UsageError(f"--since {since} is not before --until {until}")
    return period
