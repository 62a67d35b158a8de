"""A TLS context trusts its authority alone, and a failure of it is found behind any other."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from fraudapp.config.tls import causes, client_context, untrusted


class Wrapped(Exception):
    """Keeps its cause in an attribute, as clients do."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__()
        vars(self).update(attributes)


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> None:
    """Shake hands in memory; raise what the client raises."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=host)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    done: set[ssl.SSLObject] = set()
    while len(done) < 2:
        for each in (ours, theirs):
            try:
                each.do_handshake()
            except ssl.SSLWantReadError:
                continue
            done.add(each)


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return authority


@pytest.fixture
def server(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("redis.example").configure_cert(context)
    return context


def test_a_certificate_of_the_authority_is_accepted_for_its_own_host_only(
    tmp_path: Path, server: ssl.SSLContext
) -> None:
    context = client_context(tmp_path / "ca.pem")
    handshake(context, server, "redis.example")
    with pytest.raises(ssl.SSLCertVerificationError, match="ostname mismatch"):
        handshake(context, server, "other.example")


def test_the_certificate_of_another_authority_is_refused(
    tmp_path: Path, server: ssl.SSLContext
) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    for ca_file in (tmp_path / "other.pem", None):
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(client_context(ca_file), server, "redis.example")


def test_a_client_shows_its_own_certificate(
    tmp_path: Path, authority: trustme.CA, server: ssl.SSLContext
) -> None:
    own = authority.issue_cert("worker@example")
    for name, blob in (("cert.pem", own.cert_chain_pems[0]), ("key.pem", own.private_key_pem)):
        blob.write_to_path(str(tmp_path / name))
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(tmp_path / "ca.pem")
    files = tmp_path / "ca.pem", tmp_path / "cert.pem", tmp_path / "key.pem"
    handshake(client_context(*files), server, "redis.example")
    with pytest.raises(ssl.SSLError):
        handshake(client_context(tmp_path / "ca.pem"), server, "redis.example")


@pytest.mark.timeout(20)
def test_an_encrypted_key_is_refused_without_asking_for_its_password(
    tmp_path: Path, authority: trustme.CA
) -> None:
    own = authority.issue_cert("worker@example")
    own.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    key = serialization.load_pem_private_key(own.private_key_pem.bytes(), None)
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"hunter2"),
        )
    )
    with pytest.raises(ssl.SSLError, match="the key is encrypted"):
        client_context(None, tmp_path / "cert.pem", tmp_path / "key.pem")


def test_a_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        client_context(tmp_path / "absent.pem")


def chained(cause: BaseException) -> BaseException:
    outer = OSError("outer")
    outer.__cause__ = cause
    return outer


def during(cause: BaseException) -> BaseException:
    outer = OSError("outer")
    outer.__context__ = cause
    return outer


@pytest.mark.parametrize(
    "wrap",
    [
        chained,
        during,
        lambda cause: Wrapped(orig=cause),
        lambda cause: Wrapped(kwargs={"error": cause}),
        lambda cause: chained(Wrapped(orig=during(Wrapped(kwargs={"error": cause})))),
        lambda cause: cause,
    ],
)
def test_a_distrusted_certificate_is_found_wherever_a_client_keeps_it(wrap: Any) -> None:
    distrust = ssl.SSLCertVerificationError("self-signed")
    assert untrusted(wrap(distrust)) is distrust
    assert untrusted(wrap(ssl.SSLError("handshake"))) is None


def test_causes_are_told_from_the_outermost_and_each_one_once() -> None:
    inner, middle, outer = OSError("inner"), Wrapped(orig="no exception"), OSError("outer")
    outer.__cause__, outer.__context__ = middle, ValueError("not the cause")
    middle.__context__ = inner
    assert causes(outer) == [outer, middle, inner]
    inner.__context__ = outer
    assert causes(outer) == [outer, middle, inner]
    assert causes(None) == []
