"""Bodies of requests: read, unpacked and taken apart in short steps, whatever they hold."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final, cast

from aiohttp import web as aiohttp_web
from aiohttp.http_exceptions import HttpProcessingError

from models.parsing import InvalidTransaction, parse
from models.records import FieldError, Transaction
from models.splitting import LARGEST, MOST_AT_ONCE, TooMany, items
from web.connections import Connection, TooMuch, TooSlow
from web.problems import RETRY_AFTER_SECONDS, Problem

PIECE: Final = 64 << 10
"""Bytes that are dealt with before others have their turn."""
MOST_ERRORS: Final = 100
"""Errors that are listed; there is no look for others."""
_DEFLATE: Final = 15
_WINDOWS: Final = {"gzip": 31, "x-gzip": 31, "deflate": _DEFLATE}
_IDENTITY: Final = frozenset({"", "identity"})
_LATER: Final = {"Retry-After": str(RETRY_AFTER_SECONDS)}
_MOST_MEMBERS: Final = 1_000
"""Packed files that are joined."""
_SMALL: Final = 1_024
"""Bytes that an item counts for besides its own."""


async def read(request: aiohttp_web.Request) -> bytes:
    """Return the body, unpacked if need be; raises `Problem` where it cannot be had."""
    most = request.client_max_size
    if (request.content_length or 0) > most:
        raise _too_large(most)
    body = bytearray()
    try:
        async for piece in _unpacked(request):
            body += piece
            if len(body) > most:
                raise _too_large(most)
            if not cast(Connection, request.protocol).hold(len(piece)):
                raise Problem(503, "too many bodies come at once; try again", headers=_LATER)
    except TooSlow as exc:
        raise Problem(408, "the body took too long to come") from exc
    except TooMuch as exc:
        raise _too_large(most) from exc
    except (zlib.error, EOFError, HttpProcessingError, aiohttp_web.RequestPayloadError) as exc:
        raise Problem(400, "the body is damaged: it is not what its headers say") from exc
    return bytes(body)


def one(body: bytes) -> Transaction:
    """Return the transaction that a body holds; raises `Problem`."""
    if len(body) > LARGEST:
        raise Problem(413, f"the size of a transaction is at most {LARGEST:,} bytes")
    try:
        return parse(body)
    except InvalidTransaction as exc:
        raise _invalid(error.as_json() for error in exc.errors) from exc


async def many(body: bytes) -> list[Transaction]:
    """Return the transactions of an array; raises `Problem` if there are errors in any."""
    try:
        parts = [part async for _, part in _in_turns(items(body))]
    except TooMany as exc:
        raise Problem(413, f"at most {MOST_AT_ONCE} transactions at once, got more") from exc
    except InvalidTransaction as exc:
        raise _invalid(error.as_json() for error in exc.errors) from exc
    transactions: list[Transaction] = []
    errors: list[dict[str, Any]] = []
    async for index, part in _in_turns(parts):
        try:
            transactions.append(_sized(part))
        except InvalidTransaction as exc:
            errors.extend({"index": index, **error.as_json()} for error in exc.errors)
            if len(errors) >= MOST_ERRORS:
                break
    if errors:
        raise _invalid(errors)
    return transactions


async def _in_turns(parts: Iterable[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    """Number the parts, and let others have their turn after each `PIECE` of them."""
    done = 0
    for index, part in enumerate(parts):
        yield index, part
        done += len(part) + _SMALL
        if done > PIECE:
            await asyncio.sleep(0)
            done = 0


async def _unpacked(request: aiohttp_web.Request) -> AsyncIterator[bytes]:
    """Yield a body in pieces that are small whatever they were packed into."""
    window = _window(request)
    pieces = request.content.iter_any()
    if window is None:
        async for piece in pieces:
            yield piece
        return
    unpacker, members = None, 0
    async for piece in pieces:
        while piece:
            if unpacker is None and window == _DEFLATE and piece[0] & 15 != zlib.DEFLATED:
                window = -_DEFLATE  # some leave out what the standard has around it
            if unpacker is None or unpacker.eof:  # packed files may be joined
                unpacker, members = zlib.decompressobj(window), members + 1
                if members > _MOST_MEMBERS:
                    raise EOFError
            yield unpacker.decompress(piece, PIECE)
            piece = unpacker.unconsumed_tail or unpacker.unused_data
            await asyncio.sleep(0)
    if unpacker is None or not unpacker.eof:
        raise EOFError


def _window(request: aiohttp_web.Request) -> int | None:
    """What `zlib` has to be told for the encoding of a body; None if there is none."""
    named = ",".join(request.headers.getall("Content-Encoding", []))
    encodings = {each.strip().lower() for each in named.split(",")} - _IDENTITY
    if not encodings:
        return None
    if len(encodings) > 1 or named.count(",") or not encodings <= _WINDOWS.keys():
        raise Problem(
            415,
            f"a body may be encoded once, with gzip or deflate, not with {named[:64]!r}",
            headers={"Accept-Encoding": "gzip, deflate"},
        )
    return _WINDOWS[encodings.pop()]


def _sized(part: bytes) -> Transaction:
    if len(part) > LARGEST:
        raise InvalidTransaction([FieldError("", f"has more than {LARGEST:,} bytes")])
    return parse(part)


def _too_large(most: int) -> Problem:
    return Problem(413, f"the size of a body is at most {most:,} bytes")


def _invalid(errors: Iterable[dict[str, Any]]) -> Problem:
    listed = list(errors)
    more = ""
    if len(listed) >= MOST_ERRORS:
        more = f"; only the first {MOST_ERRORS} are listed, and there was no look for others"
    detail = f"nothing was accepted: the body has errors{more}"
    return Problem(422, detail, errors=listed[:MOST_ERRORS])
