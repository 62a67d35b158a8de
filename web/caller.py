"""The address of the caller, also behind proxies.

Only the proxies in `FRAUD_WEB_PROXIES` are believed. Each proxy appends the address of its own peer
at the right of the header. So the caller is the rightmost address that is not one of the proxies;
everything to the left of it may be forged.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from aiohttp.web import BaseRequest

from fraudapp.config.proxies import Address, Network, plain

SUBSCRIBER_BITS: Final = 64
"""Bits of an IPv6 address that identify a subscriber; a machine chooses the others at will."""
MAX_HOPS: Final = 32
"""Elements of the header that are read, counted from the right."""
MAX_ELEMENT_CHARACTERS: Final = 512
"""Characters of one element; a longer one counts as malformed."""
_NODE: Final = re.compile(
    r"(?:\[(?P<bracketed>[^\]]+)\]|(?P<v4>[0-9.]+))(?::[0-9A-Za-z._-]+)?|(?P<v6>[0-9A-Fa-f:.]+)"
)
_PAIR: Final = re.compile(r"""([\w!#$%&'*+.^`|~-]+)=(?:([\w!#$%&'*+.^`|~-]+)|"([^"\\]*)")""")


class Callers:
    """Finds the caller of a request behind trusted proxies."""

    def __init__(self, proxies: Sequence[Network]) -> None:
        self._proxies = proxies

    def of(self, request: BaseRequest) -> str:
        """Return the caller's address, or the farthest credible one if a header is unclear."""
        peer = _address(request.remote or "")
        if peer is None:
            return request.remote or "unknown"
        if not self._is_proxy(peer):
            return str(peer)
        told = {
            self._first_other(peer, (_short(read, each) for each in elements))
            for name, read in (("X-Forwarded-For", _node), ("Forwarded", _forwarded))
            if (elements := _last(request.headers.getall(name, [])))
        }
        # A proxy extends one of the two headers, and may pass on the other as a client has forged
        # it. So two headers that disagree are not believed.
        return str(told.pop() if len(told) == 1 else peer)

    def _is_proxy(self, address: Address) -> bool:
        return any(address in network for network in self._proxies)

    def _first_other(self, peer: Address, nodes: Iterable[Address | None]) -> Address:
        last = peer
        for node in nodes:
            if node is None:
                return last
            if not self._is_proxy(node):
                return node
            last = node
        return last


def subscriber(address: str) -> str:
    """Return the key of the rate limit: the IPv4 address, or the /64 network of an IPv6 address."""
    parsed = _address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        first = int(parsed) >> SUBSCRIBER_BITS << SUBSCRIBER_BITS
        return str(ipaddress.IPv6Network((first, SUBSCRIBER_BITS)))
    return str(parsed or address)


def _short(read: Callable[[str], Address | None], element: str) -> Address | None:
    return read(element) if len(element) <= MAX_ELEMENT_CHARACTERS else None


def _last(headers: Sequence[str]) -> list[str]:
    """Return the last `MAX_HOPS` elements, from right to left."""
    # Split at every comma, even in quotes: otherwise a quote that a client has left open would hide
    # the elements that proxies have appended.
    elements = ",".join(headers).rsplit(",", MAX_HOPS)[-MAX_HOPS:]
    return [each.strip() for each in reversed(elements) if each.strip()]


def _forwarded(element: str) -> Address | None:
    """Return the address of `for=` in an element of `Forwarded` (RFC 7239); None if malformed."""
    pairs = [_PAIR.fullmatch(each.strip()) for each in element.split(";")]
    if not all(pairs):
        return None
    named = [pair[2] or pair[3] for pair in pairs if pair and pair[1].lower() == "for"]
    return _node(named[0]) if len(named) == 1 else None


def _node(text: str) -> Address | None:
    match = _NODE.fullmatch(text)
    return _address(match["bracketed"] or match["v4"] or match["v6"]) if match else None


def _address(text: str) -> Address | None:
    try:
        return plain(ipaddress.ip_address(text))
    except ValueError:
        return None
