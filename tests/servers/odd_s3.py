"""A proxy in front of an S3 server, which gives it the quirks of other S3 servers."""

from __future__ import annotations

from collections.abc import Callable

import aiohttp
from aiohttp import web
from yarl import URL

from fraudapp.local.processes import HOST

Answer = tuple[int, str]
Rule = Callable[[web.Request, int], Answer | None]
"""From a request, and how many of its method came before, to status and code; None lets it in."""


class OddS3:
    """Passes on each request that no rule answers, with its signature."""

    def __init__(self, upstream: str, *rules: Rule) -> None:
        self.rules = list(rules)
        self._upstream = upstream
        self.url = ""
        self._before: dict[str, int] = {}
        self.hosts: list[str] = []
        self.paths: list[str] = []
        """Of the requests there were, as are `hosts`."""

    async def start(self) -> None:
        """Begin to listen, at `url`."""
        self._session = aiohttp.ClientSession(auto_decompress=False)
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        self.url = await self.listen(HOST)

    async def listen(self, host: str) -> str:
        """Listen at another address as well, and return the endpoint there."""
        await web.TCPSite(self._runner, host, 0).start()
        port = self._runner.addresses[-1][1]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    async def stop(self) -> None:
        """End it."""
        await self._runner.cleanup()
        await self._session.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.hosts.append(request.headers["Host"])
        self.paths.append(request.path)
        before = self._before.setdefault(request.method, 0)
        self._before[request.method] += 1
        for rule in self.rules:
            if answer := rule(request, before):
                status, code = answer
                text = f"<Error><Code>{code}</Code><Message>by the gate</Message></Error>"
                return web.Response(status=status, text=text, content_type="application/xml")
        headers = {
            name: value for name, value in request.headers.items() if name.lower() != "expect"
        }
        url = URL(self._upstream + request.raw_path, encoded=True)
        async with self._session.request(
            request.method, url, headers=headers, data=body, allow_redirects=False
        ) as answered:
            content = await answered.read()
            kept = {
                name: value
                for name, value in answered.headers.items()
                if name.lower() not in ("transfer-encoding", "content-length", "connection")
            }
            return web.Response(status=answered.status, headers=kept, body=content)


def refuses(status: int, code: str, *, when: Callable[[web.Request], bool]) -> Rule:
    """Answer each request that matches with this status and code."""
    return lambda request, before: (status, code) if when(request) else None


def every_other(status: int, code: str, method: str) -> Rule:
    """Answer the first, third, fifth… request of a method with this status and code."""
    return lambda request, before: (
        (status, code) if request.method == method and before % 2 == 0 else None
    )


def for_checksums(request: web.Request, before: int) -> Answer | None:
    """Refuse checksum headers, and bodies with trailing checksums."""
    headers = request.headers
    odd = (
        "x-amz-trailer" in headers
        or "aws-chunked" in headers.get("Content-Encoding", "")
        or any(name.lower().startswith("x-amz-checksum") for name in headers)
        or "x-amz-sdk-checksum-algorithm" in headers
    )
    return (501, "NotImplemented") if odd else None


def anything(request: web.Request) -> bool:
    """Match any request."""
    return True


def of_bucket(request: web.Request) -> bool:
    """Match requests for the bucket, or for a list of its objects."""
    return request.method in ("HEAD", "GET") and request.path.strip("/").count("/") == 0


def of_many(request: web.Request) -> bool:
    """Match deletions of several objects."""
    return request.method == "POST" and "delete" in request.query


def of_upload(request: web.Request) -> bool:
    """Match uploads."""
    return request.method == "PUT"
