"""The root path, and the static files that the pages use."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import mimetypes
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from faust import web

from web.access import STATIC
from web.compressing import MIN_COMPRESSED_BYTES
from web.negotiation import accepted_encodings, depends_on
from web.problems import Problem
from web.views import View, route

FOLDER: Final = Path(__file__).parent / "static"


class File(NamedTuple):
    """A static file, ready to be sent."""

    content_type: str
    plain: bytes
    gzipped: bytes
    """The content as gzip; empty if the file is too small to be compressed."""
    tag: str
    """The entity tag without quotes; it changes with the content."""


@route("/", name="front")
class Front(View):
    """The root path."""

    async def get(self, request: web.Request) -> web.Response:
        """Redirect to the stats."""
        raise Problem(302, "see /stats", headers={"Location": "/stats"})


@route(STATIC.replace("}", ":.+}"), name="static")
class Static(View):
    """The static files."""

    async def get(self, request: web.Request, name: str) -> web.Response:
        """Answer the file, 304 if the client has it already, or 412 if `If-Match` names another."""
        path = _files().get(name)
        if path is None:
            raise Problem(404, f"there is nothing at {cast(Any, request).path}")
        file = await asyncio.to_thread(_load, path)
        if file.gzipped:
            depends_on(request, "Accept-Encoding")
        gzipped = bool(file.gzipped) and accepted_encodings(request).gzip
        tag = f"{file.tag}-gzip" if gzipped else file.tag
        headers = {"ETag": f'"{tag}"'}
        given = cast(Any, request).headers
        if (expected := given.getall("If-Match", [])) and not names(expected, tag):
            raise Problem(412, "the file is not the one that If-Match names", headers=headers)
        if names(given.getall("If-None-Match", []), tag, weakly=True):
            return self.bytes(b"", status=304, headers=headers)
        if gzipped:
            headers["Content-Encoding"] = "gzip"
        headers["Content-Type"] = file.content_type
        return self.bytes(file.gzipped if gzipped else file.plain, headers=headers)


def names(conditions: Sequence[str], tag: str, *, weakly: bool = False) -> bool:
    """Whether `If-Match` or, with `weakly`, `If-None-Match` names this tag or `*`.

    The header is searched instead of parsed, since parsing thousands of tags would take long.
    """
    given = ",".join(conditions)
    if not weakly:
        given = given.replace(f'W/"{tag}"', "")
    return given.strip() == "*" or f'"{tag}"' in given


@cache
def _files() -> dict[str, Path]:
    return {
        path.relative_to(FOLDER).as_posix(): path for path in FOLDER.rglob("*") if path.is_file()
    }


@cache
def _load(path: Path) -> File:
    plain = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    gzipped = gzip.compress(plain, mtime=0) if len(plain) >= MIN_COMPRESSED_BYTES else b""
    return File(kind, plain, gzipped, hashlib.sha256(plain).hexdigest()[:32])
