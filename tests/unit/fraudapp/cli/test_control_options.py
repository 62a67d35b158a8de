"""Options of what is written say who, why and until when."""

from __future__ import annotations

import getpass
from datetime import datetime, timedelta, timezone

import click
import pytest
from click.testing import CliRunner

from fraudapp.cli.control_options import When, iso, signed, user


@click.command()
@signed
@click.option("--expires", type=When())
def command(author: str, note: str, expires: datetime | None) -> None:
    click.echo(f"{author}|{note}|{expires.isoformat() if expires else ''}")


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ("15m", timedelta(minutes=15)),
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
    ],
)
def test_a_span_is_from_now_on(span: str, expected: timedelta) -> None:
    before = datetime.now(timezone.utc)
    moment = When().convert(span, None, None)
    assert before <= moment - expected <= datetime.now(timezone.utc)


def test_a_moment_has_an_offset() -> None:
    assert When().convert("2999-01-31T00:00:00+01:00", None, None) == iso("2999-01-30T23:00:00Z")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--expires", "2027-01-31"], "write a time with an offset"),
        (["--expires", "2999-01-31T00:00:00"], "write a time with an offset"),
        (["--expires", "30"], "write a time with an offset"),
        (["--expires", "0d"], "is over already"),
        (["--expires", "2020-01-31T00:00:00Z"], "is over already"),
        (["--expires", "999999999d"], "is too far away"),
        (["--author", " "], "it is empty"),
        (["--author", "a" * 129], "at most 128 fit"),
        (["--author", "a\nb"], "must not hold U+000A"),
        (["--note", "n" * 1_001], "at most 1,000 fit"),
        (["--note", "\x1b"], "must not hold U+001B"),
    ],
)
def test_what_cannot_be_written_is_refused(options: list[str], told: str) -> None:
    done = CliRunner().invoke(command, options)
    assert done.exit_code == 2
    assert told in done.output


def test_the_author_is_the_user_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "alice")
    assert CliRunner().invoke(command, []).output == "alice||\n"


@pytest.mark.parametrize("name", ["", "a\nb", "a" * 129])
def test_a_user_without_a_usable_name_is_unknown(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: name)
    assert user() == "unknown"


def test_a_user_id_without_a_name_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert user() == "unknown"
