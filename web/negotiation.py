"""Content negotiation: q-values of `Accept` and `Accept-Encoding` (RFC 9110)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from aiohttp import web as aiohttp_web

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_NAME: Final = re.compile(rf"{_WORD}(?:/{_WORD})?")
_PARAMETER: Final = re.compile(rf"{_WORD}(?:={_WORD})?")
_WEIGHT: Final = re.compile(r"0(?:\.[0-9]*)?|1(?:\.0*)?")
# An unclosed quote is matched too, so that it is scanned only once.
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*("?)')
_BLANK: Final = " \t"
_MAX_HEADER_CHARACTERS: Final = 2_048
"""Characters of a header that is read; browsers send a few hundred."""
_VARIES: Final = aiohttp_web.RequestKey[list[str]]("varies", list)


class AcceptedEncodings(NamedTuple):
    """Which content encodings of an answer the client accepts."""

    gzip: bool
    """Whether to send gzip; if false, the answer must not be compressed."""
    plain: bool
    """Whether the client accepts an answer without encoding (identity)."""


def weights(fields: Iterable[str]) -> dict[str, float] | None:
    """Return the q-value of each range in a header, in their order.

    Returns None if there is no such header, or if it is malformed or too long: the client then
    counts as accepting anything.
    """
    given = list(fields)
    if sum(map(len, given)) > _MAX_HEADER_CHARACTERS:
        return None
    named: dict[str, float] = {}
    special: dict[str, float] = {}  # ranges with parameters; one without parameters overrides it
    for element in _QUOTED.sub(_blunt, ",".join(given)).split(","):
        name, *parameters = (part.strip(_BLANK) for part in element.split(";"))
        if not element.strip(_BLANK):
            continue
        if not _NAME.fullmatch(name):
            return None
        weight, others = 1.0, 0
        for parameter in filter(None, parameters):
            key, _, value = parameter.partition("=")
            if key.lower() != "q":
                if not _PARAMETER.fullmatch(parameter):
                    return None
                others += key.lower() != "charset"
                continue
            if not _WEIGHT.fullmatch(value):
                return None
            weight = float(value)
            break  # parameters after q do not belong to the range
        known = special if others else named
        known[name.lower()] = max(weight, known.get(name.lower(), 0.0))
    return {**special, **named} if given else None


def wants_page(request: Any) -> bool:
    """Whether the client prefers HTML to JSON, as browsers do; programs accept JSON or anything."""
    depends_on(request, "Accept")
    accepted = weights(request.headers.getall("Accept", []))
    if not accepted:
        return False
    page, json = (_rank(accepted, each) for each in ("text/html", "application/json"))
    return page[0] > 0 and page > json


def accepted_encodings(request: Any) -> AcceptedEncodings:
    """Return which content encodings the client accepts; see `AcceptedEncodings`."""
    accepted = weights(request.headers.getall("Accept-Encoding", []))
    if accepted is None:
        return AcceptedEncodings(gzip=False, plain=True)
    others = accepted.get("*")
    plain = accepted.get("identity", others)
    packed = accepted.get("gzip", accepted.get("x-gzip", others)) or 0.0
    return AcceptedEncodings(gzip=packed > 0 and packed >= (plain or 0.0), plain=plain != 0)


def depends_on(request: Any, header: str) -> None:
    """Note a request header that the answer depends on, for `Vary`."""
    request[_VARIES] = [*request.get(_VARIES, ()), header]


def varies(request: Any) -> list[str]:
    """Return the noted headers, each once."""
    return list(dict.fromkeys(request.get(_VARIES, ())))


def _blunt(quoted: re.Match[str]) -> str:
    """Replace a quoted string by a word, so that its commas and semicolons do not split it."""
    return "x" if quoted[1] else '"'


def _rank(accepted: Mapping[str, float], media_type: str) -> tuple[float, int, int]:
    """Rank a media type by q-value, then by how precise its range is, then by its position."""
    ranges = media_type, media_type.partition("/")[0] + "/*", "*/*"
    for preciseness, each in zip((2, 1, 0), ranges, strict=True):
        if each in accepted:
            return accepted[each], preciseness, -list(accepted).index(each) if preciseness else 0
    return 0.0, 0, 0
