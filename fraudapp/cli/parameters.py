"""Types of command-line parameters."""

from __future__ import annotations

import math
from typing import Any

import click

from models.profiles.windows import duration


class Finite(click.FloatRange):
    """A finite number in a range. Click accepts infinity, and NaN, which compares with no bound."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType.convert`."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


class Duration(click.ParamType):
    """A length of time such as 5m, 12h or 7d, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType.convert`."""
        seconds = value if isinstance(value, int) else duration(value)
        if seconds is None:
            self.fail(f"{value!r} is no length of time: write 5m, 12h or 7d.", param, ctx)
        return seconds
