"""The audit log: one line for each request that writes, or tries to, with caller and status."""

from __future__ import annotations

import logging
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web as aiohttp_web

from fraudapp.process.logs import AUDIT
from web.access import READING, Access
from web.caller import Callers
from web.problems import Handler

log = logging.getLogger(AUDIT)

MAX_PATH_CHARACTERS: Final = 256
_TRANSACTIONS: Final = aiohttp_web.RequestKey("transactions", int)
_SAFE: Final = "".join(map(chr, range(0x21, 0x7F)))


class Audit:
    """The middleware that writes the lines."""

    def __init__(self, access: Access, callers: Callers) -> None:
        self._access = access
        self._callers = callers

    @aiohttp_web.middleware
    async def audited(
        self, request: aiohttp_web.Request, handler: Handler
    ) -> aiohttp_web.StreamResponse:
        """Write the line once the request has an answer, or has failed without one."""
        if request.method in READING:
            return await handler(request)
        status: int | None = None
        try:
            response = await handler(request)
            status = response.status
            return response
        finally:
            self._write(request, status)

    def _write(self, request: aiohttp_web.Request, status: int | None) -> None:
        key = self._access.key_of(request)
        told = {
            "key": key.name if key else None,
            "address": self._callers.of(request),
            "method": request.method,
            "path": _plain(request.rel_url.raw_path),
            "transactions": request.get(_TRANSACTIONS),
            "status": status,
        }
        log.info(
            "audit: %s %s by %s at %s: %s, transactions: %s",
            told["method"],
            told["path"],
            f"key {key.name!r}" if key else "nobody known",
            told["address"],
            "no answer" if status is None else status,
            "unknown" if told["transactions"] is None else told["transactions"],
            extra=told,
        )


def note_transactions(request: Any, transactions: int) -> None:
    """Note for the audit line how many transactions the request has in its body."""
    request[_TRANSACTIONS] = transactions


def _plain(path: str) -> str:
    """Return the path with control characters quoted, which a terminal would obey."""
    return quote(path[:MAX_PATH_CHARACTERS], safe=_SAFE)
