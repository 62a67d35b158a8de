"""The reverse proxies that are trusted to name the address of the caller."""

from __future__ import annotations

import ipaddress
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")


def parse(text: str) -> list[Network]:
    """Parse addresses and networks, separated by commas: `10.0.0.5,fd00::/64`.

    Raises `ValueError` for host names, and for a network that holds all addresses.
    """
    return [_network(each.strip()) for each in text.split(",")]


def plain(address: Address) -> Address:
    """Return the IPv4 address behind an IPv4-mapped IPv6 address; any other as it is."""
    return getattr(address, "ipv4_mapped", None) or address


def _network(text: str) -> Network:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as exc:
        if "host bits" in str(exc):
            whole = ipaddress.ip_network(text, strict=False)
            raise ValueError(f"{text} is an address within a network; write {whole}") from None
        raise ValueError(
            f"{text!r} is no address and no network; write them without names and ports, separated "
            "by commas, such as 10.0.0.5,fd00::/64"
        ) from None
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        first = ipaddress.IPv4Address(int(network.network_address) & 0xFFFFFFFF)
        network = ipaddress.IPv4Network((first, network.prefixlen - 96))
    if network.prefixlen == 0:
        raise ValueError(f"{text} trusts every caller to name any address; name the proxies")
    return network
