"""How connections to Postgres are made, and what their failures mean."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import asyncpg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from fraudapp.config.tls import causes, client_context, untrusted
from fraudapp.settings import Settings

FAILURES: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # of a connection that is lost in the middle of a statement
    SQLAlchemyError,
    OSError,
    asyncio.TimeoutError,
)
_REFUSED: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,  # of which a wrong password is one
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)
# In the words of PgBouncer, which has but one code for whatever is wrong with a client.
_REFUSED_BY_POOLER: Final = ("authentication failed", "no such database", "no such user")


def tls(settings: Settings) -> dict[str, Any]:
    """Arguments of asyncpg's connections; none where the URL alone decides."""
    mode = settings.postgres_sslmode
    if mode is None or mode in ("disable", "require"):
        return {} if mode is None else {"ssl": mode}
    context = client_context(settings.postgres_ca_file)
    context.check_hostname = mode == "verify-full"
    return {"ssl": context}


LONG: Final = 3_600.0
"""Seconds a statement may take that goes through a whole table."""
# What answers may be a pooler, such as PgBouncer, with another connection to Postgres for each
# transaction. So nothing is asked for that outlives one: no parameters at the start, no statements
# prepared under a name; nor may anybody use SET without LOCAL, or locks and tables of a session.
_POOLED: Final[Mapping[str, Any]] = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": str,  # "": each takes the place of the last
}


def engine(settings: Settings, timeout: float = 10.0) -> AsyncEngine:
    """Return an engine for a command, whose statements may take `LONG`; `timeout` is to connect."""
    url = settings.postgres_url.get_secret_value()
    return connections(url, {"timeout": timeout, "command_timeout": LONG, **tls(settings)})


def connections(url: str, arguments: Mapping[str, Any], **pool: Any) -> AsyncEngine:
    """Return an engine that also works through a pooler in transaction mode.

    `arguments` are those of asyncpg's connections, `pool` those of SQLAlchemy's pool.
    """
    return create_async_engine(url, connect_args={**arguments, **_POOLED}, **pool)


def refusal(exc: BaseException) -> str | None:
    """What to do about a failure that waiting does not help; None for any other."""
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
