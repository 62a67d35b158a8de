"""Options of the commands that write to the control topic."""

from __future__ import annotations

import getpass
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, Final, TypeVar

import click
import msgspec
from msgspec import Meta

from fraudapp.cli.parameters import Finite
from models import characters

MAX_AUTHOR_CHARACTERS: Final = 128
MAX_NOTE_CHARACTERS: Final = 1_000
_SPAN: Final = re.compile(r"(\d{1,9})([mhd])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
_FORM: Final = "write a time with an offset, such as 2027-01-31T00:00:00Z, or 30d, 12h or 15m"

Command = TypeVar("Command", bound=Callable[..., Any])


class Said(click.ParamType):
    """A text that people read: without control characters, and not too long."""

    name = "text"

    def __init__(self, most: int) -> None:
        """`most` is the number of characters."""
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See `click.ParamType.convert`."""
        text = str(value)
        if len(text) > self._most:
            self.fail(f"it has {len(text):,} characters; at most {self._most:,} fit.", param, ctx)
        if problem := characters.problem(text):
            self.fail(f"it {problem}.", param, ctx)
        return text


class When(click.ParamType):
    """A moment in the future: ISO 8601 with an offset, or a span of time from now."""

    name = "when"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """See `click.ParamType.convert`."""
        now = datetime.now(timezone.utc)
        try:
            moment = value if isinstance(value, datetime) else _moment(str(value), now)
        except ValueError:
            self.fail(f"{value!r:.80}: {_FORM}.", param, ctx)
        except OverflowError:
            self.fail(f"{value!r:.80} is too far away.", param, ctx)
        if moment <= now:
            self.fail(f"{value!r:.80} is over already.", param, ctx)
        return moment


def iso(text: str) -> datetime:
    """Return a moment that is written as ISO 8601 with an offset; raises `ValueError`."""
    moment: datetime = msgspec.convert(text, Annotated[datetime, Meta(tz=True)])
    return moment


def _moment(text: str, now: datetime) -> datetime:
    if match := _SPAN.fullmatch(text):
        return now + timedelta(**{_UNITS[match[2]]: int(match[1])})
    return iso(text)


def user() -> str:
    """Return the name of the user of the operating system; `unknown` if there is none."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in a container
        name = ""
    fits = 0 < len(name) <= MAX_AUTHOR_CHARACTERS and characters.allowed(name)
    return name if fits else "unknown"


def signed(command: Command) -> Command:
    """Add the options of all that is written: `--author` and `--note`."""
    command = click.option(
        "--note", type=Said(MAX_NOTE_CHARACTERS), default="", help="Why, in a few words."
    )(command)
    return click.option(
        "--author",
        type=Said(MAX_AUTHOR_CHARACTERS),
        default=user,
        callback=_named,
        help="Who does this; default: the user of this machine.",
    )(command)


def waiting(command: Command) -> Command:
    """Add `--wait`."""
    return click.option(
        "--wait",
        type=Finite(min=0),
        metavar="SECONDS",
        help="Wait until the owner of every partition decides by it; exit code 4 if one does not.",
    )(command)


def _named(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.BadParameter("it is empty.", ctx, param)
    return value
