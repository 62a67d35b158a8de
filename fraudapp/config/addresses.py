"""Addresses in settings, normalised to the one form that all clients read alike, or refused.

Every client parses URLs in its own way. A URL that one of them could read differently is refused
with a sentence and an example. The sentence repeats no part of the URL, since a password may be
anywhere in it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

BROKER: Final = "kafka://HOST:9092, several as kafka://A:9092,B:9092"
REDIS: Final = "redis://:PASSWORD@HOST:6379/0, rediss://… with TLS, or unix:///run/redis.sock?db=0"
POSTGRES: Final = (
    "postgresql+asyncpg://USER:PASSWORD@HOST:5432/DATABASE, "
    "or postgresql+asyncpg://USER@/DATABASE?host=/run/postgresql"
)
ENDPOINT: Final = "https://HOST:9000"
WEBHOOK: Final = "https://HOST/PATH"
ARCHIVE: Final = "s3://BUCKET/PREFIX or file:///FOLDER"
_ESCAPES: Final = (
    "in user and password, write special characters as %XX: @ is %40, : %3A, / %2F, # %23, ? %3F, "
    "% %25"
)
_HOST: Final = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_S3_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9-]+(?<!-)")
_BUCKET: Final = re.compile(r"[A-Za-z0-9._-]{1,255}")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_VERIFIED: Final = (
    "; for verify-ca and verify-full set FRAUD_POSTGRES_SSLMODE and FRAUD_POSTGRES_CA_FILE"
)
_SSL: Final = ("disable", "allow", "prefer", "require")
_SESSIONS: Final = ("any", "primary", "standby", "read-write", "read-only", "prefer-standby")


class _Url(NamedTuple):
    scheme: str
    login: str
    """User and password as they were given, with the `@`; empty if there are none."""
    hosts: list[str]
    """Each as `HOST` or `HOST:PORT`."""
    path: str
    query: list[tuple[str, str]]


def brokers(text: str) -> str:
    """Return the brokers as `kafka://HOST:PORT`, separated by `;`; raises `ValueError`."""
    first, *more = (part.strip() for part in text.replace(",", ";").split(";"))
    more = [part if "://" in part else f"kafka://{part}" for part in more]
    return ";".join(_broker(part) for part in [first, *more])


def redis(text: str) -> str:
    """Return the URL of a Redis as redis-py reads it; raises `ValueError`."""
    url = _split(text, ("redis", "rediss", "unix"), REDIS)
    if url.scheme == "unix":
        if url.hosts or len(url.path) < 2:
            raise ValueError(f"write the whole path, after three slashes: {REDIS}")
    else:
        if len(url.hosts) > 1:
            raise ValueError(f"name one host, of a cluster any of its nodes: {REDIS}")
        if not re.fullmatch(r"/?|/[0-9]{1,9}/?", url.path):
            raise ValueError(f"behind the host comes the number of a database: {REDIS}")
    allowed: dict[str, Sequence[str]] = {"db": (), "protocol": ("2", "3")}
    if url.scheme == "rediss":
        allowed |= {"ssl_cert_reqs": ("none", "optional", "required")}
        allowed |= {"ssl_check_hostname": ("true", "false")}
    query = _checked_query(url.query, allowed, REDIS)
    if not query.get("db", "0").isdecimal():
        raise ValueError(f"the database is a number: {REDIS}")
    path = url.path if url.scheme == "unix" else url.path.rstrip("/")
    return _joined(url.scheme, url.login, url.hosts, path, list(query.items()))


def postgres(text: str) -> str:
    """Return the URL of a database as SQLAlchemy and asyncpg read it; raises `ValueError`."""
    url = _split(text, ("postgresql+asyncpg", "postgresql", "postgres"), POSTGRES)
    url = url._replace(path=url.path.rstrip("/"))
    in_query = [host for name, value in url.query if name == "host" for host in value.split(",")]
    allowed = {"port": (), "sslmode": _SSL, "ssl": _SSL, "target_session_attrs": _SESSIONS}
    others = [each for each in url.query if each[0] != "host"]
    query = _checked_query(others, allowed, POSTGRES, _VERIFIED)
    port = query.pop("port", "")
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    if in_query and url.hosts:
        raise ValueError(f"name the host once: {POSTGRES}")
    if len(in_query) == 1 and in_query[0].startswith("/"):  # the folder of a Unix socket
        location = [("host", in_query[0]), ("port", _port(port or "5432", POSTGRES))]
        return _joined("postgresql+asyncpg", url.login, [], url.path, [*query.items(), *location])
    hosts = [_with_port(each, port) for each in url.hosts or in_query]
    hosts = [_host(each, POSTGRES) for each in hosts]
    if len(hosts) < 2:
        return _joined("postgresql+asyncpg", url.login, hosts, url.path, [*query.items()])
    if any(each.startswith("[") for each in hosts):
        raise ValueError(f"of several hosts, write names or IPv4 addresses: {POSTGRES}")
    location = [("host", _with_port(each, "5432")) for each in hosts]
    return _joined("postgresql+asyncpg", url.login, [], url.path, [*query.items(), *location])


def endpoint(text: str) -> str:
    """Return the URL of an S3 server, without a slash at its end; raises `ValueError`."""
    url = _split(text, ("http", "https"), ENDPOINT)
    if url.login:
        raise ValueError(
            "it takes no user and password: use FRAUD_S3_ACCESS_KEY_ID and "
            f"FRAUD_S3_SECRET_ACCESS_KEY, and write {ENDPOINT}"
        )
    if url.query or len(url.hosts) != 1:
        raise ValueError(f"write {ENDPOINT}")
    name = url.hosts[0].partition(":")[0].rstrip(".")
    if not name.startswith("[") and not all(map(_S3_LABEL.fullmatch, name.split("."))):
        raise ValueError(f"S3's client takes a host of letters, digits and hyphens: {ENDPOINT}")
    return _joined(url.scheme, "", url.hosts, url.path.rstrip("/"), [])


def webhook(text: str) -> str:
    """Return the URL of a receiver of webhooks; raises `ValueError`."""
    url = _split(text, ("http", "https"), WEBHOOK)
    if url.login:
        raise ValueError(
            "it takes no user and password: receivers know the sender by FRAUD_WEBHOOK_SECRET; "
            f"write {WEBHOOK}"
        )
    if len(url.hosts) != 1:
        raise ValueError(f"name one host: {WEBHOOK}")
    return _joined(url.scheme, "", url.hosts, url.path or "/", url.query)


def archive(text: str) -> str:
    """Return the URL of an archive. An S3 prefix may hold any character. Raises `ValueError`."""
    scheme, separator, rest = text.strip().partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in ("s3", "file"):
        raise ValueError(f"use a URL that starts with file:// or s3://: {ARCHIVE}")
    if scheme == "s3":
        bucket, _, _ = rest.partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise ValueError(
                "name the bucket: s3://BUCKET/PREFIX; keys go in FRAUD_S3_ACCESS_KEY_ID and "
                "FRAUD_S3_SECRET_ACCESS_KEY, another server in FRAUD_S3_ENDPOINT_URL"
            )
    elif not rest.startswith("/") or not rest.strip("/"):
        raise ValueError("write the whole path, after three slashes: file:///FOLDER")
    elif "#" in rest or "?" in rest or _BAD_ESCAPE.search(rest) or not unquote(rest).isprintable():
        raise ValueError(
            "in file:///FOLDER, write # as %23, ? as %3F and % as %25, and no control characters"
        )
    return f"{scheme}://{rest}"


def bind(text: str) -> str:
    """Return an address to listen on, without brackets; raises `ValueError`."""
    address = text.strip()
    bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        if bare != address or not _HOST.fullmatch(address) or _numeric(address):
            raise ValueError(
                "write an address alone, such as 127.0.0.1, 0.0.0.0, ::1 or localhost; the port "
                "goes in FRAUD_WEB_PORT"
            ) from None
    return address


def may_hold_a_secret(text: str) -> bool:
    """Return whether a refused text has to be hidden: a password may be anywhere in it."""
    return any(each in text for each in "@%?#=")


def _broker(text: str) -> str:
    url = _split(text, ("kafka", "aiokafka"), BROKER)
    if url.login:
        raise ValueError(
            "it takes no user and password: use FRAUD_BROKER_USER and FRAUD_BROKER_PASSWORD, and "
            f"write {BROKER}"
        )
    if len(url.hosts) != 1 or url.path not in ("", "/") or url.query:
        raise ValueError(f"write {BROKER}")
    return f"kafka://{_with_port(url.hosts[0], '9092')}"


def _split(text: str, schemes: Sequence[str], example: str) -> _Url:
    text = text.strip()
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.lower() not in schemes:
        starts = " or ".join(f"{each}://" for each in schemes)
        raise ValueError(f"use a URL that starts with {starts}: {example}")
    if not text.isprintable() or " " in text:
        raise ValueError(f"it holds a space or a control character: {example}")
    try:
        url = urlsplit(f"//{rest}")
        query = parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query))
    except ValueError:  # its message repeats parts of the text
        raise ValueError(f"it cannot be read; {_ESCAPES}: {example}") from None
    login, at, location = url.netloc.rpartition("@")
    if (
        any(each in login for each in "@[]")
        or any("@" in each for each in (url.path, url.query))
        or "#" in rest
        or _BAD_ESCAPE.search(rest)
    ):
        raise ValueError(f"{_ESCAPES}: {example}")
    hosts = [_host(each, example) for each in location.split(",")] if location else []
    if not hosts and scheme.lower() in ("kafka", "aiokafka", "redis", "rediss", "http", "https"):
        raise ValueError(f"name the host: {example}")
    return _Url(scheme.lower(), login + at, hosts, url.path, query)


def _host(text: str, example: str) -> str:
    """Return a valid `HOST` or `HOST:PORT`, with brackets around an IPv6 address."""
    match = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(?::([^:]*))?", text)
    name, port = match.groups() if match else ("", None)
    if name.startswith("["):
        try:
            name = f"[{ipaddress.IPv6Address(name[1:-1])}]"
        except ValueError:
            name = ""
    elif not _HOST.fullmatch(name):
        name = ""
    if not name:
        raise ValueError(f"the host is no name or address, IPv6 as [::1]; {_ESCAPES}: {example}")
    return name if port is None else f"{name}:{_port(port, example)}"


def _port(text: str, example: str) -> str:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65_536:
        raise ValueError(f"the port is not a number from 1 to 65535; {_ESCAPES}: {example}")
    return str(int(text))


def _with_port(host: str, port: str) -> str:
    """Add a port to a host that has none; an empty port adds nothing."""
    return f"{host}:{port}" if port and ":" not in host.rpartition("]")[2] else host


def _numeric(host: str) -> bool:
    """Return whether a host that is no valid address was most likely meant as one."""
    return all(part.isdigit() for part in host.rstrip(".").split("."))


def _checked_query(
    query: Sequence[tuple[str, str]],
    allowed: Mapping[str, Sequence[str]],
    example: str,
    hint: str = "",
) -> dict[str, str]:
    """Return the query if each name is allowed and given once, with one of its allowed values."""
    found = dict(query)
    known = ", ".join(allowed)
    if len(found) < len(query) or not found.keys() <= allowed.keys():
        raise ValueError(f"behind the ? may be, each once: {known}{hint}. Write {example}")
    for name, value in found.items():
        if allowed[name] and value not in allowed[name]:
            raise ValueError(f"{name} is one of {', '.join(allowed[name])}{hint}: {example}")
    return found


def _joined(
    scheme: str, login: str, hosts: Sequence[str], path: str, query: Sequence[tuple[str, str]]
) -> str:
    encoded = urlencode(query, safe="/:[]", quote_via=quote)
    return f"{scheme}://{login}{','.join(hosts)}{path}" + (f"?{encoded}" if encoded else "")
