"""Connections to Postgres for all its users, and the meaning of their failures.

A pooler may be in between, so every connection keeps to the same rules.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, cast

import asyncpg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from fraudapp.config.tls import causes, client_context, untrusted
from fraudapp.settings import Settings
from fraudapp.sinks.base import DecisionRejected, unavailable

FAILURES: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # from a connection that is lost in the middle of a statement
    SQLAlchemyError,
    OSError,
    asyncio.TimeoutError,
)
# Errors that a poison row causes.
_REJECTIONS: Final = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
_REFUSED: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,  # a wrong password among others
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)
# Messages of PgBouncer, which has one code only for all that can be wrong with a client.
_REFUSED_BY_POOLER: Final = ("authentication failed", "no such database", "no such user")


def tls(settings: Settings) -> dict[str, Any]:
    """Return the TLS arguments of asyncpg's connections; none where the URL alone decides."""
    mode = settings.postgres_sslmode
    if mode is None or mode in ("disable", "require"):
        return {} if mode is None else {"ssl": mode}
    context = client_context(settings.postgres_ca_file)
    context.check_hostname = mode == "verify-full"
    return {"ssl": context}


LONG_STATEMENT_TIMEOUT: Final = 3_600.0
"""Seconds that a statement may take which goes through a whole table."""
# The server may be a pooler, such as PgBouncer, with another connection to Postgres for each
# transaction. So nothing may outlive a transaction: no parameters at the start of a connection, no
# named prepared statements, no SET without LOCAL, and no locks or tables of a session.
_POOLED: Final[Mapping[str, Any]] = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": str,  # "": each replaces the last
}


def engine(settings: Settings, timeout: float = 10.0) -> AsyncEngine:
    """Return an engine for a command; its statements may take `LONG_STATEMENT_TIMEOUT`.

    `timeout` is in seconds, for connecting.
    """
    url = settings.postgres_url.get_secret_value()
    timeouts = {"timeout": timeout, "command_timeout": LONG_STATEMENT_TIMEOUT}
    return connections(url, {**timeouts, **tls(settings)})


def connections(url: str, arguments: Mapping[str, Any], **pool: Any) -> AsyncEngine:
    """Return an engine that also works through a pooler in transaction mode.

    `arguments` are those of asyncpg's connections, `pool` those of SQLAlchemy's pool.
    """
    return create_async_engine(url, connect_args={**arguments, **_POOLED}, **pool)


@asynccontextmanager
async def raw_connection(engine: AsyncEngine, sink: str) -> AsyncIterator[asyncpg.Connection]:
    """Take asyncpg's own connection from a pool, for bulk statements at full speed.

    Raises `SinkUnavailable`, naming the sink, or `DecisionRejected`.
    """
    with unavailable(sink, *FAILURES, refusal=refusal):
        async with engine.connect() as connection:
            raw = await connection.get_raw_connection()
            try:
                yield cast(asyncpg.Connection, raw.driver_connection)
            except asyncpg.CheckViolationError:
                raise  # no partition takes the row: not a poison row, a retry may succeed
            except _REJECTIONS as exc:
                raise DecisionRejected(f"{type(exc).__name__}: {exc}") from exc
            except FAILURES:
                # The pool does not see failures of the driver: drop the connection.
                await connection.invalidate()
                raise


def refusal(exc: BaseException) -> str | None:
    """Return what to do about a failure that no retry helps; None for any other."""
    if distrust := untrusted(exc):
        return (
            f"the certificate is not trusted ({distrust.verify_message}); name in "
            "FRAUD_POSTGRES_CA_FILE the file of the authority that issued it, and in "
            "FRAUD_POSTGRES_URL a host that it was issued for"
        )
    for each in causes(exc):
        if isinstance(each, _REFUSED) or (
            isinstance(each, asyncpg.ProtocolViolationError)
            and any(words in str(each) for words in _REFUSED_BY_POOLER)
        ):
            return f"{each}; FRAUD_POSTGRES_URL must hold a user who may use that database"
        if isinstance(each, ConnectionError) and "rejected SSL upgrade" in str(each):
            return f"{each}; see FRAUD_POSTGRES_SSLMODE"
    return None
