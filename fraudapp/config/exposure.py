"""Refusal to serve an API without keys on an address that other machines reach."""

from __future__ import annotations

import socket
from ipaddress import ip_address

from fraudapp.config.proxies import plain


def is_loopback(address: str) -> bool:
    """Return whether only this machine reaches a server on this address or host name.

    Blocks while a name is resolved.
    """
    try:
        found = {info[4][0] for info in socket.getaddrinfo(address, None)}
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(plain(ip_address(each)).is_loopback for each in found)


def refusal(address: str, *, has_keys: bool, open_to_all: bool) -> str | None:
    """Return why a server must not listen on an address; None if it may.

    Blocks while a name is resolved.
    """
    if has_keys or open_to_all or is_loopback(address):
        return None
    return (
        f"everybody who reaches {address} could read and make decisions: set FRAUD_API_KEYS or "
        "FRAUD_API_KEYS_FILE, unset FRAUD_WEB_BIND to listen on this machine only, or set "
        "FRAUD_API_OPEN=true if that is meant"
    )
