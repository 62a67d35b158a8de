"""Compresses large answers with gzip for clients that accept it."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import hdrs
from aiohttp import web as aiohttp_web
from isal import igzip

from web.negotiation import accepted_encodings, depends_on
from web.problems import Handler, Problem

MIN_COMPRESSED_BYTES: Final = 1_400
"""Bytes from which on answers are compressed; a smaller one fits into one packet anyway."""
MAX_INLINE_BYTES: Final = 64 << 10
"""Bytes up to which the event loop compresses an answer itself; a thread compresses larger ones."""
_LEVEL: Final = 1


@aiohttp_web.middleware
async def compressed(request: aiohttp_web.Request, handler: Handler) -> aiohttp_web.StreamResponse:
    """Compress large answers; answer 406 to a client that accepts neither gzip nor identity."""
    accepted = accepted_encodings(request)
    if not any(accepted):
        depends_on(request, hdrs.ACCEPT_ENCODING)
        return Problem(406, "answers are sent as gzip, or as they are (identity)").response()
    response = await handler(request)
    if not isinstance(response, aiohttp_web.Response) or hdrs.CONTENT_ENCODING in response.headers:
        return response
    body = response.body
    if isinstance(body, (bytes, bytearray)) and len(body) >= (
        MIN_COMPRESSED_BYTES if accepted.plain else 1
    ):
        depends_on(request, hdrs.ACCEPT_ENCODING)
        if accepted.gzip:
            response.body = await gzipped(bytes(body))
            response.headers[hdrs.CONTENT_ENCODING] = "gzip"
    return response


async def gzipped(body: bytes) -> bytes:
    """Return the body as gzip, without blocking the event loop for a large one."""
    if len(body) <= MAX_INLINE_BYTES:
        return _gzipped(body)
    return await asyncio.to_thread(_gzipped, body)


def _gzipped(body: bytes) -> bytes:
    result: bytes = igzip.compress(body, _LEVEL, mtime=0)
    return result
