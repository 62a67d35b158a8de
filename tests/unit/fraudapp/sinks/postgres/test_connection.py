"""Connections to Postgres work through a pooler, and say what to do where no retry helps."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import trustme
from sqlalchemy.exc import DBAPIError

from fraudapp.settings import load
from fraudapp.sinks.postgres import connection
from fraudapp.sinks.postgres.connection import (
    FAILURES,
    LONG_STATEMENT_TIMEOUT,
    connections,
    engine,
    refusal,
    tls,
)

URL = "postgresql+asyncpg://u:p@db.example/d"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """URL and arguments of each engine that would have been created."""
    made: list[tuple[str, dict[str, Any]]] = []

    def create(url: str, **arguments: Any) -> None:
        made.append((url, arguments))

    monkeypatch.setattr(connection, "create_async_engine", create)
    return made


@pytest.mark.parametrize(
    ("mode", "arguments"),
    [(None, {}), ("disable", {"ssl": "disable"}), ("require", {"ssl": "require"})],
)
def test_a_mode_without_checks_is_left_to_the_driver(
    mode: str | None, arguments: dict[str, str]
) -> None:
    assert tls(load({"FRAUD_POSTGRES_SSLMODE": mode or ""})) == arguments


@pytest.mark.parametrize(("mode", "host_is_checked"), [("verify-ca", False), ("verify-full", True)])
def test_a_mode_with_checks_trusts_the_authority_that_was_named(
    tmp_path: Path, mode: str, host_is_checked: bool
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    environ = {
        "FRAUD_POSTGRES_SSLMODE": mode,
        "FRAUD_POSTGRES_CA_FILE": str(tmp_path / "ca.pem"),
    }
    context = tls(load(environ))["ssl"]
    assert isinstance(context, ssl.SSLContext)
    assert (context.check_hostname, context.verify_mode) == (host_is_checked, ssl.CERT_REQUIRED)
    (trusted,) = context.get_ca_certs(binary_form=True)
    assert ssl.DER_cert_to_PEM_cert(trusted).strip() == authority.cert_pem.bytes().decode().strip()


def test_nothing_of_a_connection_outlives_a_transaction(
    made: list[tuple[str, dict[str, Any]]],
) -> None:
    connections(URL, {"timeout": 3.0, "statement_cache_size": 100}, pool_size=2)
    ((url, arguments),) = made
    assert (url, arguments["pool_size"]) == (URL, 2)
    sent = arguments["connect_args"]
    assert sent["timeout"] == 3.0
    assert sent["statement_cache_size"] == sent["prepared_statement_cache_size"] == 0
    assert sent["prepared_statement_name_func"]() == ""
    assert "server_settings" not in sent  # parameters at the start, which a pooler may refuse


def test_a_command_may_take_long_for_a_statement_but_not_to_connect(
    made: list[tuple[str, dict[str, Any]]],
) -> None:
    engine(load({"FRAUD_POSTGRES_URL": URL, "FRAUD_POSTGRES_SSLMODE": "require"}), timeout=4.0)
    ((url, arguments),) = made
    sent = arguments["connect_args"]
    assert url == URL
    assert (sent["timeout"], sent["command_timeout"]) == (4.0, LONG_STATEMENT_TIMEOUT)
    assert sent["ssl"] == "require"


def distrust(message: str) -> ssl.SSLCertVerificationError:
    """Return a failed check of a certificate, as the `ssl` module raises it."""
    exc = ssl.SSLCertVerificationError(1, message)
    exc.verify_message = message
    return exc


def wrapped(exc: BaseException) -> list[BaseException]:
    """Return a failure as it is, and as SQLAlchemy and a chain of exceptions pass it on."""
    outer = OSError("outer")
    outer.__cause__ = exc
    return [exc, DBAPIError("SELECT 1", None, exc), outer]


@pytest.mark.parametrize(
    ("failure", "advice"),
    [
        (asyncpg.InvalidPasswordError("wrong password"), "FRAUD_POSTGRES_URL must hold a user"),
        (asyncpg.InvalidCatalogNameError("no database"), "FRAUD_POSTGRES_URL must hold a user"),
        (asyncpg.InsufficientPrivilegeError("no right"), "FRAUD_POSTGRES_URL must hold a user"),
        (asyncpg.ProtocolViolationError("no such user: u"), "FRAUD_POSTGRES_URL must hold a user"),
        (ConnectionError("server rejected SSL upgrade"), "see FRAUD_POSTGRES_SSLMODE"),
        (
            distrust("self-signed certificate"),
            "not trusted (self-signed certificate); name in FRAUD",
        ),
    ],
)
def test_what_no_retry_helps_is_reported_with_the_setting_wherever_it_is(
    failure: Exception, advice: str
) -> None:
    for each in wrapped(failure):
        assert isinstance(each, FAILURES)
        assert advice in (refusal(each) or "")


@pytest.mark.parametrize(
    "failure",
    [
        asyncpg.CannotConnectNowError("the database system is starting up"),
        asyncpg.TooManyConnectionsError("too many clients"),
        asyncpg.ProtocolViolationError("server closed the connection"),
        asyncpg.InternalClientError("got result for unknown protocol state"),
        ConnectionRefusedError("refused"),
        TimeoutError("no answer"),
    ],
)
def test_what_may_pass_is_a_failure_without_a_refusal(failure: Exception) -> None:
    for each in wrapped(failure):
        assert isinstance(each, FAILURES)
        assert refusal(each) is None
