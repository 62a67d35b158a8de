"""How each Kafka client of the application connects: servers, TLS and credentials."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from faust.auth import Credentials, SASLCredentials, SSLCredentials
from faust.types import TP

from fraudapp.config.tls import client_context, untrusted
from fraudapp.kafka import wire_format
from fraudapp.kafka.offsets import ends
from fraudapp.settings import Settings
from models.errors import NeedsOperator

PROBE_TIMEOUT_MS: Final = 10_000
"""Milliseconds that a broker may take to answer `check_access`."""


class BrokerRefuses(NeedsOperator):
    """Credentials rejected, or a certificate not trusted; the message names the setting."""


def client_options(settings: Settings) -> dict[str, Any]:
    """Connection arguments of aiokafka's consumers, producers and admin clients."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "security_protocol": settings.broker_security,
    }
    if settings.broker_tls:
        options["ssl_context"] = client_context(
            settings.broker_ca_file, settings.broker_cert_file, settings.broker_key_file
        )
    if settings.broker_user is not None and settings.broker_password is not None:
        options |= {
            "sasl_mechanism": settings.broker_sasl_mechanism,
            "sasl_plain_username": settings.broker_user,
            "sasl_plain_password": settings.broker_password.get_secret_value(),
        }
    return options


def faust_credentials(settings: Settings) -> Credentials | None:
    """Credentials for Faust's own clients; None for plaintext without a user."""
    options = client_options(settings)
    if "sasl_mechanism" in options:
        return SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=options.get("ssl_context"),
        )
    return SSLCredentials(options["ssl_context"]) if settings.broker_tls else None


def new_consumer(settings: Settings, group: str | None = None, **options: Any) -> AIOKafkaConsumer:
    """Return a consumer, not yet started, that reads committed records from the earliest on.

    Every consumer of the application but Faust's is made here. `group` is the consumer group whose
    offsets it uses; `options` are aiokafka's, and override the defaults.
    """
    wire_format.install()
    return AIOKafkaConsumer(
        **client_options(settings),
        **{
            "group_id": group,
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "isolation_level": "read_committed",
            **options,
        },
    )


@asynccontextmanager
async def started_consumer(
    settings: Settings, group: str | None = None, **options: Any
) -> AsyncIterator[AIOKafkaConsumer]:
    """Start a `new_consumer` for the body of `async with`; raises `KafkaError`."""
    consumer = new_consumer(settings, group, **options)
    try:  # aiokafka's own context manager does not stop a consumer whose start fails
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def end_offsets(settings: Settings, partitions: Iterable[TP]) -> dict[TP, int]:
    """Return the high water of each partition, by a consumer of its own; raises `KafkaError`."""
    wanted = [TopicPartition(*tp) for tp in partitions]
    async with started_consumer(settings) as consumer:
        found = await ends(consumer, wanted)
    return {TP(*tp): end.high_water for tp, end in found.items()}


async def check_access(settings: Settings) -> None:
    """Raise `BrokerRefuses` if a broker rejects our credentials, or its certificate is not trusted.

    An unreachable broker raises nothing here. Callers use this after a connection error, since
    aiokafka raises the same error for both.
    """
    options = client_options(settings)
    for server in options.pop("bootstrap_servers"):
        host, _, port = server.rpartition(":") if ":" in server else (server, "", "9092")
        connection = AIOKafkaConnection(
            host.strip("[]"), int(port), request_timeout_ms=PROBE_TIMEOUT_MS, **options
        )
        try:
            await connection.connect()
        except (KafkaError, OSError, asyncio.TimeoutError) as exc:
            if refusal := _refusal(settings, server, exc):
                raise BrokerRefuses(refusal) from exc
        finally:
            connection.close()


_CREDENTIALS_REJECTED: Final = (SaslAuthenticationFailed, AuthenticationFailedError)
_MECHANISM_MISMATCH: Final = (
    UnsupportedSaslMechanismError,
    AuthenticationMethodNotSupported,
    IllegalSaslStateError,
)


def _refusal(settings: Settings, server: str, exc: BaseException) -> str | None:
    if distrust := untrusted(exc):
        return (
            f"FRAUD_BROKER_CA_FILE={settings.broker_ca_file or ''}: the certificate of {server} is "
            f"not trusted ({distrust.verify_message}); name the file of the authority that issued "
            "it, and in FRAUD_BROKER_URL a host that it was issued for"
        )
    if isinstance(exc, ssl.SSLError):
        return (
            f"FRAUD_BROKER_SECURITY={settings.broker_security}: {server} does not speak TLS with "
            f"us ({exc}); does it offer TLS, and does it accept FRAUD_BROKER_CERT_FILE?"
        )
    if isinstance(exc, _CREDENTIALS_REJECTED):
        return (
            f"FRAUD_BROKER_USER={settings.broker_user} or FRAUD_BROKER_PASSWORD: {server} refuses "
            f"them over {settings.broker_sasl_mechanism} ({exc})"
        )
    if isinstance(exc, _MECHANISM_MISMATCH):
        return (
            f"FRAUD_BROKER_SASL_MECHANISM={settings.broker_sasl_mechanism}: {server} does not take "
            f"it ({exc})"
        )
    return None
