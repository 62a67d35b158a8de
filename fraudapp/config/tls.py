"""TLS contexts for the files in settings, and the reasons why a connection over TLS failed."""

from __future__ import annotations

import ssl
from pathlib import Path


def client_context(
    ca_file: Path | None, cert_file: Path | None = None, key_file: Path | None = None
) -> ssl.SSLContext:
    """Return a context that checks the server's certificate and name.

    Without `ca_file` the system's authorities are trusted; `cert_file` and `key_file` are this
    client's own. Raises `OSError`, such as `ssl.SSLError`, for files that cannot be used.
    """
    context = ssl.create_default_context(cafile=ca_file)
    if cert_file is not None:
        context.load_cert_chain(cert_file, key_file, password=_no_password)
    return context


def untrusted(exc: BaseException) -> ssl.SSLCertVerificationError | None:
    """Return the failed check of a certificate that caused an exception; None if none did."""
    for each in causes(exc):
        if isinstance(each, ssl.SSLCertVerificationError):
            return each
    return None


def causes(exc: BaseException | None) -> list[BaseException]:
    """Return an exception and its causes, the outermost first.

    Clients keep the cause of a failure at different depths and in different attributes.
    """
    found: list[BaseException] = []
    while exc is not None and exc not in found:
        found.append(exc)
        hidden = getattr(exc, "orig", None) or getattr(exc, "kwargs", {}).get("error")
        exc = exc.__cause__ or (hidden if isinstance(hidden, BaseException) else exc.__context__)
    return found


def _no_password() -> str:
    # By default OpenSSL would ask on the terminal, and a worker would wait there for ever.
    raise ssl.SSLError("the key is encrypted; use one without a password")
