"""Every address works in the client that reads it, or is refused; no secret is ever shown."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from redis.asyncio import Redis
from sqlalchemy.engine import make_url
from yarl import URL

from fraudapp.settings import Settings, SettingsError, load
from fraudapp.sinks.archive.archive import archive_at
from fraudapp.sinks.archive.s3 import S3Archive

ASYNCPG = "postgresql+asyncpg"


def of(name: str, value: str) -> Settings:
    return load({f"FRAUD_{name}": value})


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("kafka://host:9092/", ["host:9092"]),
        ("kafka://host", ["host:9092"]),
        ("kafka://host/", ["host:9092"]),
        ("KAFKA://Host:09092", ["Host:9092"]),
        (" kafka://host:1\n", ["host:1"]),
        ("kafka://[::1]:9093", ["[::1]:9093"]),
        ("kafka://[::1]", ["[::1]:9092"]),
        ("aiokafka://a_b.c-d:1;kafka://10.0.0.1/", ["a_b.c-d:1", "10.0.0.1:9092"]),
        ("kafka://a:1; kafka://b:2", ["a:1", "b:2"]),
        ("kafka://a,b:2, kafka://[::1]", ["a:9092", "b:2", "[::1]:9092"]),
    ],
)
def test_brokers_are_read(given: str, read: list[str]) -> None:
    settings = of("BROKER_URL", given)
    assert settings.bootstrap_servers == read
    assert settings.broker_url == ";".join(f"kafka://{each}" for each in read)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("redis://h", {"host": "h"}),
        ("REDIS://h:1/", {"host": "h", "port": 1}),
        ("redis://:p%40%3A%2F%23%25@h:6379/3", {"host": "h", "password": "p@:/#%", "db": 3}),
        ("redis://u:a:b@h/1/", {"username": "u", "password": "a:b", "db": 1}),
        ("rediss://h/0?ssl_cert_reqs=none", {"host": "h", "ssl_cert_reqs": "none"}),
        ("redis://[::1]:6379/0", {"host": "::1", "port": 6379}),
        ("unix:///run/r.sock?db=2", {"path": "/run/r.sock", "db": 2}),
        ("unix://u:p@/run/r.sock", {"path": "/run/r.sock", "username": "u", "password": "p"}),
        ("redis://h\n", {"host": "h"}),
        ("redis://h/0?protocol=2", {"host": "h", "protocol": 2}),
    ],
)
def test_redis_is_read(given: str, read: Mapping[str, Any]) -> None:
    url = of("REDIS_URL", given).redis_url.get_secret_value()
    assert read.items() <= Redis.from_url(url).connection_pool.connection_kwargs.items()


def connecting(url: str) -> dict[str, Any]:
    """Return the arguments with which SQLAlchemy calls asyncpg."""
    made = make_url(url)
    return dict(made.get_dialect()().create_connect_args(made)[1])


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("postgres://h/d", {"host": "h", "database": "d"}),
        ("postgresql://u:p@h:1/d", {"host": "h", "port": 1, "user": "u", "password": "p"}),
        ("postgresql://u:p@h/d/", {"host": "h", "database": "d", "user": "u", "password": "p"}),
        (f"{ASYNCPG}://u:p%40%3A%2F%23%25@h/d", {"host": "h", "password": "p@:/#%"}),
        (f"{ASYNCPG}://u@h/d?sslmode=require", {"host": "h", "ssl": "require"}),
        (f"{ASYNCPG}://u@[::1]:1/d", {"host": "::1", "port": 1}),
        (f"{ASYNCPG}://u@/d?host=/run/p", {"host": "/run/p", "database": "d", "port": 5432}),
        (f"{ASYNCPG}://u@/d?host=/run/p&port=1", {"host": "/run/p", "port": 1}),
        (f"{ASYNCPG}://u@/d?host=h&port=1", {"host": "h", "port": 1}),
        (f"{ASYNCPG}://a:1,b/d", {"host": ["a", "b"], "port": [1, 5432], "database": "d"}),
        (f"{ASYNCPG}://u@/d?host=a:1&host=b:2", {"host": ["a", "b"], "port": [1, 2]}),
        (
            f"{ASYNCPG}://a,b/d?target_session_attrs=primary",
            {"host": ["a", "b"], "port": [5432, 5432], "target_session_attrs": "primary"},
        ),
    ],
)
def test_postgres_is_read(given: str, read: Mapping[str, Any]) -> None:
    found = connecting(of("POSTGRES_URL", given).postgres_url.get_secret_value())
    assert found.items() >= read.items()
    assert found.keys() <= {*read, "user", "password", "database"}


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("https://s3.example/", "https://s3.example"),
        ("HTTP://h:9000/path/", "http://h:9000/path"),
        ("http://[::1]:9000", "http://[::1]:9000"),
        ("http://my-minio.:9000", "http://my-minio.:9000"),
    ],
)
def test_an_endpoint_is_read(given: str, read: str) -> None:
    assert of("S3_ENDPOINT_URL", given).s3_endpoint_url == read


def test_an_archive_is_read() -> None:
    assert isinstance(archive_at(of("ARCHIVE_URL", "S3://bucket/a b#c?d%")), S3Archive)
    assert of("ARCHIVE_URL", "FILE:///a%20b/").archive == "file:///a%20b/"


@pytest.mark.parametrize(
    ("given", "bind", "host"),
    [
        ("::1", "::1", "[::1]"),
        ("[::]", "::", "[::1]"),
        (" 0.0.0.0 ", "0.0.0.0", "127.0.0.1"),
        ("a-b.c", "a-b.c", "a-b.c"),
    ],
)
def test_an_address_to_listen_on_is_read(given: str, bind: str, host: str) -> None:
    settings = of("WEB_BIND", given)
    assert (settings.web_bind, settings.web_host) == (bind, host)
    assert URL(f"http://{settings.web_host}:8000").port == 8000  # as Faust makes it


HOSTS = ("h:0", "h:70000", "h:abc", "h:", ":1", "a b", "h:1:2", "[::1", "[x]:1", "::1", "h/x", "*")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        *(("BROKER_URL", f"kafka://{host}", "kafka://HOST") for host in HOSTS),
        ("BROKER_URL", "kafka://a:1;", "kafka://A:9092,B:9092"),
        ("BROKER_URL", "kafka://u:p@h", "FRAUD_BROKER_PASSWORD"),
        ("BROKER_URL", "kafka://h?x=1", "kafka://HOST"),
        ("BROKER_URL", ";", "kafka://HOST"),
        ("BROKER_URL", '"kafka://h"', "kafka://HOST"),
        *(("REDIS_URL", f"redis://:p@{host}", "redis://:PASSWORD@HOST") for host in HOSTS),
        ("REDIS_URL", "redis://h/abc", "number of a database"),
        ("REDIS_URL", "redis://h/-1", "number of a database"),
        ("REDIS_URL", "redis://h/1/2", "number of a database"),
        ("REDIS_URL", "redis://h?db=x", "number"),
        ("REDIS_URL", "redis://a,b", "one host"),
        ("REDIS_URL", "redis:///0", "name the host"),
        ("REDIS_URL", "redis://h?foo=1", "each once: db"),
        ("REDIS_URL", "redis://h?protocol=1", "2, 3"),
        ("REDIS_URL", "rediss://h?ssl_cert_reqs=maybe", "none, optional, required"),
        ("REDIS_URL", "unix://run/r.sock", "three slashes"),
        ("REDIS_URL", "unix:///", "three slashes"),
        *(
            ("POSTGRES_URL", f"{ASYNCPG}://u:p@{host}/d", "USER:PASSWORD@HOST")
            for host in HOSTS
            if host != "h/x"
        ),
        ("POSTGRES_URL", "postgresql+psycopg2://h/d", "postgresql+asyncpg://"),
        ("POSTGRES_URL", f"{ASYNCPG}://h/d?sslmode=verify-full", "FRAUD_POSTGRES_SSLMODE"),
        ("POSTGRES_URL", f"{ASYNCPG}://h/d?channel_binding=require", "target_session_attrs"),
        ("POSTGRES_URL", f"{ASYNCPG}://h/d?password=p", "target_session_attrs"),
        ("POSTGRES_URL", f"{ASYNCPG}://h/d?ssl=disable&ssl=require", "each once"),
        ("POSTGRES_URL", f"{ASYNCPG}://h/d?host=g", "once"),
        ("POSTGRES_URL", f"{ASYNCPG}://u@/d?host=h&port=x", "port"),
        ("POSTGRES_URL", f"{ASYNCPG}://[::1],h/d", "several hosts"),
        ("POSTGRES_URL", f"{ASYNCPG}://%2Frun%2Fp/d", "?host=/run/postgresql"),
        *(
            ("S3_ENDPOINT_URL", f"https://{host}", "https://HOST")
            for host in HOSTS
            if "x" not in host
        ),
        ("S3_ENDPOINT_URL", "h:9000", "https://HOST"),
        ("S3_ENDPOINT_URL", "http://my_minio:9000", "hyphens"),
        ("S3_ENDPOINT_URL", "http://-a:1", "hyphens"),
        ("S3_ENDPOINT_URL", "http://\u0434\u043e\u043c:1", "https://HOST"),
        ("POSTGRES_URL", f"{ASYNCPG}://u:p@{'h' * 64}/d", "USER:PASSWORD@HOST"),
        ("S3_ENDPOINT_URL", "https://key:secret@h", "FRAUD_S3_SECRET_ACCESS_KEY"),
        ("S3_ENDPOINT_URL", "https://h?x=1", "https://HOST"),
        ("ARCHIVE_URL", "s3://key:secret@bucket", "FRAUD_S3_SECRET_ACCESS_KEY"),
        ("ARCHIVE_URL", "s3:///prefix", "s3://BUCKET/PREFIX"),
        ("ARCHIVE_URL", "/folder", "file://"),
        ("ARCHIVE_URL", "file:///a#b", "%23"),
        ("ARCHIVE_URL", "file:///a%b", "%25"),
        ("ARCHIVE_URL", "file:///a%00b", "control"),
        *(
            ("WEB_BIND", each, "FRAUD_WEB_PORT")
            for each in ("h:1", "127.0.0.1:1", "http://h", "*", "1.2.3", "256.1.1.1", "a b", "[h]")
        ),
    ],
)
def test_an_address_that_no_client_could_use_is_refused_with_an_example(
    name: str, value: str, words: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        of(name, value)
    assert caught.value.message.startswith(f"FRAUD_{name}=")
    assert words in caught.value.message
    assert "int()" not in caught.value.message


@pytest.mark.parametrize(
    "name",
    ["BROKER_URL", "REDIS_URL", "POSTGRES_URL", "S3_ENDPOINT_URL", "ARCHIVE_URL", "WEB_BIND"],
)
def test_an_empty_address_counts_as_unset(name: str) -> None:
    assert of(name, "") == of(name, " \n") == load({})


URLS = {
    "BROKER_URL": "kafka://user:{}@host:9092",
    "REDIS_URL": "redis://user:{}@host:6379/0",
    "POSTGRES_URL": f"{ASYNCPG}://user:{{}}@host:5432/database",
    "S3_ENDPOINT_URL": "https://user:{}@host:9000",
    "ARCHIVE_URL": "s3://user:{}@bucket/prefix",
    "WEB_BIND": "user:{}@127.0.0.1",
}
secrets = st.text(
    st.one_of(st.sampled_from("@:/#%?&=[];, \\\"'+"), st.characters(codec="utf-8")),
    min_size=1,
    max_size=20,
).map(lambda text: f"hunter{text}two")


@given(secret=secrets, name=st.sampled_from(sorted(URLS)), escaped=st.booleans())
@example(secret="hunter/@two", name="REDIS_URL", escaped=False)
@example(secret="hunter:two", name="REDIS_URL", escaped=False)
@example(secret="hunter[two", name="POSTGRES_URL", escaped=False)
@example(secret="hunter\u2100two", name="POSTGRES_URL", escaped=False)
@example(secret="hunter@two", name="BROKER_URL", escaped=True)
def test_no_secret_in_an_address_is_ever_shown(secret: str, name: str, escaped: bool) -> None:
    value = URLS[name].format(quote(secret, safe="") if escaped else secret)
    try:
        settings = of(name, value)
    except SettingsError as exc:
        assert not (escaped and name in ("REDIS_URL", "POSTGRES_URL"))
        told = f"{exc.message}{exc!r}{''.join(traceback.format_exception(exc))}"
    else:
        told = f"{settings!r}{settings}{settings.broker_url}{settings.archive}"
        read = settings.redis_url.get_secret_value()
        if name == "POSTGRES_URL":
            read = settings.postgres_url.get_secret_value()
            assert connecting(read)["password"] in (secret, unquote(secret))
            assert connecting(read)["host"] == "host"
        else:
            assert name == "REDIS_URL"
            kwargs = Redis.from_url(read).connection_pool.connection_kwargs
            assert kwargs["password"] in (secret, unquote(secret))
            assert kwargs["host"] == "host"
    for form in (secret, quote(secret), quote(secret, safe=""), quote_plus(secret), repr(secret)):
        assert form not in told
    assert "hunter" not in told
