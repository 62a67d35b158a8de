"""Protection against requests that pages of other sites make a browser send.

A browser sends requests for any page it shows, also to this machine. With DNS rebinding, a page
makes its own name resolve to this machine after it was loaded: its `Host` gives it away. A page of
another origin is known by `Origin` and `Sec-Fetch-Site` (Fetch Metadata, W3C), which no page can
set.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from aiohttp import HttpVersion11
from aiohttp import web as aiohttp_web

from web.access import ALWAYS_OPEN
from web.negotiation import depends_on
from web.problems import Handler, Problem

_HOST: Final = re.compile(
    r"(?:\[(?P<v6>[^\]]+)\]|(?P<name>[^:\[\]/\\@?#\s]+))(?::(?P<port>\d{1,5}))?"
)
_OWN_PAGES: Final = ("same-origin", "none")
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


class Origins:
    """Knows the host names and origins of one server."""

    def __init__(self, bind: str, hosts: Sequence[str]) -> None:
        """`bind` is what the server listens on, `hosts` are `FRAUD_WEB_HOSTS`."""
        self._bind = bind.lower()
        self._hosts = hosts

    @aiohttp_web.middleware
    async def checked(
        self, request: aiohttp_web.Request, handler: Handler
    ) -> aiohttp_web.StreamResponse:
        """Refuse requests for another host (421) and from a page of another origin (403)."""
        if request.path not in ALWAYS_OPEN:
            self._check_host(request)
            self._check_origin(request)
        return await handler(request)

    def is_known(self, host: str) -> bool:
        """Whether a `Host`, with or without a port, is accepted for this server.

        Every IP address is: a page cannot make the address it was loaded from point elsewhere. A
        name is accepted if it is `localhost`, the name the server binds to, or in
        `FRAUD_WEB_HOSTS`.
        """
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = (match["v6"] or match["name"]).lower().removesuffix(".")
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return match["v6"] is None and self._is_named(name)
        return True

    def is_own(self, origin: str, host: str) -> bool:
        """Whether a page of this origin is ours, for a request with this `Host`.

        Its name has to be that of `Host`, or one in `FRAUD_WEB_HOSTS`, since a proxy may forward
        the request under another name. Its port has to be that of `Host`, or one that a proxy
        listens on: 80 or 443.
        """
        match = _HOST.fullmatch(host)
        try:
            url = urlsplit(origin)
            port = url.port
        except ValueError:
            return False
        if match is None or url.scheme not in _DEFAULT_PORTS or not url.hostname:
            return False
        if (
            url.hostname != (match["v6"] or match["name"]).lower()
            and url.hostname not in self._hosts
        ):
            return False
        proxied = match["port"] is None or self._is_configured(url.hostname)
        given = _DEFAULT_PORTS[url.scheme] if port is None else str(port)
        return given == match["port"] or (proxied and given in _DEFAULT_PORTS.values())

    def _is_named(self, name: str) -> bool:
        if name in ("localhost", self._bind) or name.endswith(".localhost"):
            return True
        return self._is_configured(name)

    def _is_configured(self, name: str) -> bool:
        return any(
            name.endswith(each[1:]) if each.startswith("*.") else name == each
            for each in self._hosts
        )

    def _check_host(self, request: aiohttp_web.Request) -> None:
        given = request.headers.getall("Host", [])
        if len(given) > 1 or (not given and request.version >= HttpVersion11):
            raise Problem(400, f"a request has one Host header, not {len(given)}")
        for host in {*given, request.host} if given else ():  # for an absolute URL also its host
            if not self.is_known(host):
                raise Problem(
                    421,
                    f"{host[:255]!r} is not a name of this server; "
                    "its names are set in FRAUD_WEB_HOSTS",
                )

    def _check_origin(self, request: aiohttp_web.Request) -> None:
        for origin in request.headers.getall("Origin", []):
            if not self.is_own(origin, request.headers.get("Host", "")):
                depends_on(request, "Origin")
                raise Problem(
                    403, f"a page of {origin[:255]!r} may not send requests to this server"
                )
        site = request.headers.get("Sec-Fetch-Site", "none")
        if site not in _OWN_PAGES and not _follows_a_link(request):
            for header in ("Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest"):
                depends_on(request, header)
            raise Problem(
                403, f"a page of another origin ({site[:32]!r}) may not send this request"
            )


def _follows_a_link(request: aiohttp_web.Request) -> bool:
    return (
        request.method in ("GET", "HEAD")
        and request.headers.get("Sec-Fetch-Mode") == "navigate"
        and request.headers.get("Sec-Fetch-Dest") == "document"
    )
