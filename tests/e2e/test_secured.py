"""TLS and passwords on every server: right ones work, wrong ones stop the start."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

import asyncpg
import psutil
import pytest
import redis as redis_client

from fraudapp.kafka.clients import BrokerRefuses, client_options
from fraudapp.kafka.topics import ensure
from fraudapp.local.processes import free_port
from fraudapp.settings import load
from fraudapp.sinks.all import Sinks
from fraudapp.sinks.base import AccessDenied, SinkUnavailable
from tests.servers.choice import real
from tests.servers.s3proxy import S3Proxy
from tests.servers.secured import (
    PASSWORD,
    Certificates,
    SecuredKafka,
    SecuredPostgres,
    SecuredRedis,
)
from tests.support.messages import encoded, transaction
from tests.support.readback import eventually, in_s3
from tests.support.worker import Worker, run

FAUST = ("-m", "faust", "-A", "fraudapp.app")


class Secured(NamedTuple):
    """The servers, and the settings that they are reached by."""

    kafka: SecuredKafka
    postgres: SecuredPostgres
    redis: SecuredRedis
    certificates: Certificates
    stranger: Path
    """The file of an authority that has issued none of their certificates."""
    environment: dict[str, str]


@pytest.fixture(scope="module")
def secured() -> Iterator[Secured]:
    folder = Path(tempfile.mkdtemp(prefix="fraudapp-tests-"))
    folder.chmod(0o755)  # PostgreSQL may run as another user
    certificates = Certificates(folder / "certificates")
    kafka = real(lambda path: SecuredKafka(path, certificates), folder / "kafka")
    postgres = real(lambda path: SecuredPostgres(path, certificates), folder / "postgres")
    redis = real(lambda path: SecuredRedis(path, certificates), folder / "redis")
    assert isinstance(kafka, SecuredKafka)
    assert isinstance(postgres, SecuredPostgres)
    assert isinstance(redis, SecuredRedis)
    try:
        for server in (kafka, postgres, redis):
            server.start()
        asyncio.run(_make_user(postgres))
        yield Secured(
            kafka,
            postgres,
            redis,
            certificates,
            Certificates(folder / "stranger").ca,
            {
                "FRAUD_BROKER_URL": kafka.url,
                "FRAUD_BROKER_SECURITY": "SASL_SSL",
                "FRAUD_BROKER_USER": kafka.user,
                "FRAUD_BROKER_PASSWORD": PASSWORD,
                "FRAUD_BROKER_CA_FILE": str(certificates.ca),
                "FRAUD_BROKER_CERT_FILE": str(certificates.cert),
                "FRAUD_BROKER_KEY_FILE": str(certificates.key),
                "FRAUD_POSTGRES_URL": postgres.url_for("fraud"),
                "FRAUD_POSTGRES_SSLMODE": "verify-full",
                "FRAUD_POSTGRES_CA_FILE": str(certificates.ca),
                "FRAUD_REDIS_URL": redis.url_for(),
                "FRAUD_REDIS_CA_FILE": str(certificates.ca),
                "FRAUD_START_TIMEOUT": "10",
            },
        )
    finally:
        for server in (kafka, postgres, redis):
            server.stop()
        shutil.rmtree(folder)


@pytest.fixture(autouse=True)
async def nothing_connected(secured: Secured) -> AsyncIterator[None]:
    """Keeps the loop of the test until both sides have closed TLS.

    aiokafka closes the connections that it started with, and those refused, without waiting; a loop
    that ends before leaves an open socket, which is an error of whatever test comes next.
    """
    yield
    await eventually(lambda: not _connected(secured.kafka.port))


@pytest.fixture
def environment(
    secured: Secured, topics: dict[str, str], s3: S3Proxy, s3_bucket: str, tmp_path: Path
) -> dict[str, str]:
    return {
        **topics,
        **s3.settings,
        **secured.environment,
        "FRAUD_ARCHIVE_URL": f"s3://{s3_bucket}",
        "FRAUD_DATA_DIR": str(tmp_path / "data"),
        "FRAUD_WEB_PORT": str(free_port()),
    }


@pytest.fixture
def with_model(environment: dict[str, str], trained_models: Path) -> dict[str, str]:
    shutil.copytree(trained_models, Path(environment["FRAUD_DATA_DIR"]) / "models")
    return environment


async def test_a_decision_gets_everywhere_over_tls(
    with_model: dict[str, str], secured: Secured, tmp_path: Path
) -> None:
    worker = Worker(with_model, tmp_path)
    try:
        await asyncio.to_thread(worker.start)
        file = tmp_path / "one.jsonl"
        file.write_bytes(encoded(transaction("published")))
        await asyncio.to_thread(worker.run, "publish", str(file), "--quiet")
        status, answer = await asyncio.to_thread(
            worker.get, "/transaction/published/status?wait_seconds=20"
        )
        assert (status, answer["transaction_id"]) == (200, "published")
        await eventually(lambda: asyncio.run(_in_postgres(secured)) == ["published"])
        key = f"{with_model['FRAUD_APP_ID']}:decision:published"
        await eventually(lambda: _in_redis(secured, key))
        await eventually(lambda: asyncio.run(in_s3(with_model)))
        assert "0 dead letters" in await asyncio.to_thread(worker.run, "dead-letters", "list")
        day = answer["decided_at"][:10]
        report = await asyncio.to_thread(worker.run, "daily-report", "--date", day)
        assert "(UTC): 1" in report
        assert "a sample of 1)" in report
    finally:
        await asyncio.to_thread(worker.kill)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FRAUD_BROKER_PASSWORD", "wrong"),
        ("FRAUD_BROKER_USER", "somebody"),
        ("FRAUD_BROKER_CA_FILE", "stranger"),
    ],
)
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_a_broker_that_refuses_us_is_told_apart_from_one_that_is_down(
    environment: dict[str, str], secured: Secured, variable: str, value: str, mechanism: str
) -> None:
    wrong = str(secured.stranger) if value == "stranger" else value
    changes = {variable: wrong, "FRAUD_BROKER_SASL_MECHANISM": mechanism}
    with pytest.raises(BrokerRefuses, match=variable):
        await ensure(load(environment | changes))
    await ensure(load(environment | {"FRAUD_BROKER_SASL_MECHANISM": mechanism}))


async def test_a_mechanism_that_the_broker_does_not_know_is_named(
    environment: dict[str, str],
) -> None:
    settings = load(environment | {"FRAUD_BROKER_SASL_MECHANISM": "SCRAM-SHA-256"})
    with pytest.raises(BrokerRefuses, match="FRAUD_BROKER_SASL_MECHANISM=SCRAM-SHA-256"):
        await ensure(settings)


def _wrong_stores(secured: Secured) -> dict[str, tuple[str, dict[str, str]]]:
    """By kind of mistake: the variable that the sentence has to name, and wrong settings."""
    postgres, redis, stranger = secured.postgres, secured.redis, str(secured.stranger)
    url = "FRAUD_POSTGRES_URL"
    return {
        "postgres password": (url, {url: postgres.url_for("fraud", "wrong")}),
        "postgres database": (url, {url: postgres.url_for("nowhere")}),
        "postgres without TLS": (url, {"FRAUD_POSTGRES_SSLMODE": "disable"}),
        "postgres authority": ("FRAUD_POSTGRES_CA_FILE", {"FRAUD_POSTGRES_CA_FILE": stranger}),
        "redis password": ("FRAUD_REDIS_URL", {"FRAUD_REDIS_URL": redis.url_for("wrong")}),
        "redis authority": ("FRAUD_REDIS_CA_FILE", {"FRAUD_REDIS_CA_FILE": stranger}),
        "s3 secret": ("FRAUD_S3_SECRET_ACCESS_KEY", {"FRAUD_S3_SECRET_ACCESS_KEY": "wrong"}),
        "s3 bucket": ("FRAUD_ARCHIVE_URL", {"FRAUD_ARCHIVE_URL": "s3://no-such-bucket"}),
    }


@pytest.mark.parametrize(
    "mistake",
    [
        "postgres password",
        "postgres database",
        "postgres without TLS",
        "postgres authority",
        "redis password",
        "redis authority",
        "s3 secret",
        "s3 bucket",
    ],
)
async def test_a_sink_that_refuses_us_is_told_apart_from_one_that_is_down(
    environment: dict[str, str], secured: Secured, mistake: str
) -> None:
    variable, wrong = _wrong_stores(secured)[mistake]
    if wrong.get("FRAUD_POSTGRES_SSLMODE") == "disable":
        del environment["FRAUD_POSTGRES_CA_FILE"]
    with pytest.raises(AccessDenied, match=variable):
        await _check(Sinks(load(environment | wrong)))
    await _check(Sinks(load(environment | _down())))


async def test_a_worker_starts_with_all_sinks_down(environment: dict[str, str]) -> None:
    sinks = Sinks(load(environment | _down()))
    for sink in sinks.each[:2]:
        with pytest.raises(SinkUnavailable) as caught:
            await sink.ping()
        assert not isinstance(caught.value, AccessDenied)
    await _check(sinks)


@pytest.mark.parametrize("mistake", ["broker password", "postgres password"])
def test_the_worker_does_not_start_and_says_which_setting_is_wrong(
    with_model: dict[str, str], secured: Secured, mistake: str
) -> None:
    variable, wrong = {
        **_wrong_stores(secured),
        "broker password": ("FRAUD_BROKER_PASSWORD", {"FRAUD_BROKER_PASSWORD": "wrong"}),
    }[mistake]
    done = run([*FAUST, "worker", "-l", "info"], with_model | wrong)
    output = done.stdout + done.stderr
    assert done.returncode == 1
    (sentence,) = [line for line in output.splitlines() if "cannot start:" in line]
    assert variable in sentence
    assert PASSWORD not in output


async def test_every_client_of_the_broker_is_given_the_same_access(
    environment: dict[str, str],
) -> None:
    options = client_options(load(environment))
    assert options["security_protocol"] == "SASL_SSL"
    sources = (Path(__file__).parents[2] / "fraudapp").rglob("*.py")
    offenders = [
        path.name
        for path in sources
        if "bootstrap_servers=" in path.read_text() and "local" not in path.parts
    ]
    assert offenders == []


def _connected(port: int) -> bool:
    connections = psutil.Process().net_connections("tcp")
    return any(connection.raddr and connection.raddr.port == port for connection in connections)


def _down() -> dict[str, str]:
    port = free_port()
    return {
        "FRAUD_POSTGRES_URL": f"postgresql+asyncpg://fraud:x@127.0.0.1:{port}/fraud",
        "FRAUD_REDIS_URL": f"rediss://:x@127.0.0.1:{port}/0",
    }


async def _check(sinks: Sinks) -> None:
    try:
        await sinks.check_access()
    finally:
        for sink in sinks.each:
            await sink.close()


async def _make_user(postgres: SecuredPostgres) -> None:
    connection = await asyncpg.connect(postgres.url.replace("+asyncpg", ""))
    await connection.execute(f"CREATE ROLE {postgres.user} LOGIN PASSWORD '{PASSWORD}'")
    await connection.execute(f"CREATE DATABASE fraud OWNER {postgres.user}")
    await connection.close()


async def _in_postgres(secured: Secured) -> list[str]:
    url = secured.postgres.url_of("fraud").replace("+asyncpg", "")
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT transaction_id FROM decisions")
    finally:
        await connection.close()
    return [row["transaction_id"] for row in rows]


def _in_redis(secured: Secured, key: str) -> bool:
    url, ca_file = secured.redis.url_for(), str(secured.certificates.ca)
    with redis_client.Redis.from_url(url, ssl_ca_certs=ca_file) as client:
        return bool(client.exists(key))
