"""Request bodies: their content type, their content encoding, and the transactions in them.

Reading, decompressing and parsing are done in short steps, so that no body, whatever it holds,
blocks the event loop for long.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final, cast

from aiohttp import web as aiohttp_web
from aiohttp.http_exceptions import HttpProcessingError

from models.parsing import InvalidTransaction
from models.records import FieldError, Transaction
from models.schema.schema import Schema
from models.splitting import MAX_ITEM_BYTES, MAX_ITEMS, TooManyItems, items
from web.connection import BodyTooLarge, BodyTooSlow, Connection
from web.problems import RETRY_AFTER_SECONDS, Problem

PIECE_BYTES: Final = 64 << 10
"""Bytes that are processed before other tasks of the event loop get their turn."""
MAX_LISTED_ERRORS: Final = 100
"""Errors that an answer lists; items after the last of them are not checked."""
_DEFLATE: Final = 15
_WBITS: Final = {"gzip": 31, "x-gzip": 31, "deflate": _DEFLATE}
_IDENTITY: Final = frozenset({"", "identity"})
_RETRY_LATER: Final = {"Retry-After": str(RETRY_AFTER_SECONDS)}
_MAX_GZIP_MEMBERS: Final = 1_000
"""Gzip members that one body may consist of."""
_ITEM_OVERHEAD_BYTES: Final = 1_024
"""Bytes that each item counts for in addition to its own: parsing has a fixed cost per item."""
_MAX_CONTENT_TYPE_CHARACTERS: Final = 256
JSON: Final = re.compile(r"application/([\w.+-]+\+)?json", re.ASCII)
_PARAMETER: Final = re.compile(r'([\w.+-]+)=("[^"\\]*"|[\w.+-]+)', re.ASCII)
_CHARSETS: Final = frozenset({"utf-8", "utf8", "us-ascii"})


def demand_json(request: Any) -> None:
    """Raise `Problem` 415 unless the body is declared as JSON in UTF-8.

    A form or a beacon on a page of another origin cannot declare that without a CORS preflight, so
    this also keeps such pages from sending transactions.
    """
    demand(request, {"application/json": JSON})


def demand(request: Any, accepted: Mapping[str, re.Pattern[str]]) -> str:
    """Return which of these media types, by name, the body is declared to be, in UTF-8.

    Raises `Problem` 415 if it is none.
    """
    given = ",".join(request.headers.getall("Content-Type", []))
    # aiohttp's own parser takes seconds for a long header, and raises for a malformed one.
    if len(given) <= _MAX_CONTENT_TYPE_CHARACTERS:
        for name, pattern in accepted.items():
            if _is_of(pattern, given.lower()):
                return name
    names = " or ".join(accepted)
    asked = "JSON" if names == "application/json" else names
    raise Problem(
        415,
        f"the body must be {asked} and say so: Content-Type: {names}"
        + (f", not {given[:128]!r}" if given else ""),
        headers={"Accept-Post": ", ".join(accepted)},
    )


def _is_of(pattern: re.Pattern[str], given: str) -> bool:
    media_type, *parameters = (part.strip(" \t") for part in given.split(";"))
    matches = [_PARAMETER.fullmatch(each) for each in parameters if each]
    return bool(pattern.fullmatch(media_type)) and all(
        each and (each[1] != "charset" or each[2].strip('"') in _CHARSETS) for each in matches
    )


async def read(request: aiohttp_web.Request) -> bytes:
    """Return the body, decompressed; raises `Problem` if it is late, too large or damaged."""
    limit = request.client_max_size
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    body = bytearray()
    try:
        async for piece in _decompressed(request):
            body += piece
            if len(body) > limit:
                raise _too_large(limit)
            if not cast(Connection, request.protocol).hold(len(piece)):
                raise Problem(503, "too many bodies come at once; try again", headers=_RETRY_LATER)
    except BodyTooSlow as exc:
        raise Problem(408, "the body took too long to come") from exc
    except BodyTooLarge as exc:
        raise _too_large(limit) from exc
    except (zlib.error, EOFError, HttpProcessingError, aiohttp_web.RequestPayloadError) as exc:
        raise Problem(400, "the body is damaged: it is not what its headers say") from exc
    return bytes(body)


def one(body: bytes, schema: Schema) -> Transaction:
    """Parse a body of one transaction; raises `Problem` if it is too large or invalid."""
    if len(body) > MAX_ITEM_BYTES:
        raise Problem(413, f"the size of a transaction is at most {MAX_ITEM_BYTES:,} bytes")
    try:
        return schema.parser.parse(body)
    except InvalidTransaction as exc:
        raise invalid(error.as_json() for error in exc.errors) from exc


async def many(body: bytes, schema: Schema) -> list[Transaction]:
    """Parse a body that is an array of transactions; raises `Problem` if any of them is invalid."""
    try:
        parts = [part async for _, part in _in_turns(items(body))]
    except TooManyItems as exc:
        raise Problem(413, f"at most {MAX_ITEMS} transactions at once, got more") from exc
    except InvalidTransaction as exc:
        raise invalid(error.as_json() for error in exc.errors) from exc
    transactions: list[Transaction] = []
    errors: list[dict[str, Any]] = []
    async for index, part in _in_turns(parts):
        try:
            transactions.append(_sized(part, schema))
        except InvalidTransaction as exc:
            errors.extend({"index": index, **error.as_json()} for error in exc.errors)
            if len(errors) >= MAX_LISTED_ERRORS:
                break
    if errors:
        raise invalid(errors)
    return transactions


async def _in_turns(parts: Iterable[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    """Yield the parts with their index; yield to the event loop after each `PIECE_BYTES` bytes."""
    done = 0
    for index, part in enumerate(parts):
        yield index, part
        done += len(part) + _ITEM_OVERHEAD_BYTES
        if done > PIECE_BYTES:
            await asyncio.sleep(0)
            done = 0


async def _decompressed(request: aiohttp_web.Request) -> AsyncIterator[bytes]:
    """Yield the decompressed body in pieces of at most `PIECE_BYTES`, or as they were received."""
    wbits = _wbits(request)
    pieces = request.content.iter_any()
    if wbits is None:
        async for piece in pieces:
            yield piece
        return
    decompressor, members = None, 0
    async for piece in pieces:
        while piece:
            if decompressor is None and wbits == _DEFLATE and piece[0] & 15 != zlib.DEFLATED:
                wbits = -_DEFLATE  # some clients send raw deflate, without the zlib header
            if decompressor is None or decompressor.eof:  # a gzip file may have several members
                decompressor, members = zlib.decompressobj(wbits), members + 1
                if members > _MAX_GZIP_MEMBERS:
                    raise EOFError
            yield decompressor.decompress(piece, PIECE_BYTES)
            piece = decompressor.unconsumed_tail or decompressor.unused_data
            await asyncio.sleep(0)
    if decompressor is None or not decompressor.eof:
        raise EOFError


def _wbits(request: aiohttp_web.Request) -> int | None:
    """Return zlib's `wbits` for the content encoding of a body; None if it has no encoding."""
    named = ",".join(request.headers.getall("Content-Encoding", []))
    encodings = {each.strip().lower() for each in named.split(",")} - _IDENTITY
    if not encodings:
        return None
    if len(encodings) > 1 or named.count(",") or not encodings <= _WBITS.keys():
        raise Problem(
            415,
            f"a body may be encoded once, with gzip or deflate, not with {named[:64]!r}",
            headers={"Accept-Encoding": "gzip, deflate"},
        )
    return _WBITS[encodings.pop()]


def _sized(part: bytes, schema: Schema) -> Transaction:
    if len(part) > MAX_ITEM_BYTES:
        raise InvalidTransaction([FieldError("", f"has more than {MAX_ITEM_BYTES:,} bytes")])
    return schema.parser.parse(part)


def _too_large(limit: int) -> Problem:
    return Problem(413, f"the size of a body is at most {limit:,} bytes")


def invalid(errors: Iterable[dict[str, Any]]) -> Problem:
    """Return the problem of a body with errors, of which the first are listed."""
    listed = list(errors)
    more = ""
    if len(listed) >= MAX_LISTED_ERRORS:
        more = f"; only the first {MAX_LISTED_ERRORS} are listed, and later items are not checked"
    detail = f"nothing was accepted: the body has errors{more}"
    return Problem(422, detail, errors=listed[:MAX_LISTED_ERRORS])
