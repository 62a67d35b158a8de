"""What a client would rather have: q-values of `Accept` and `Accept-Encoding` (RFC 9110)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from aiohttp import web as aiohttp_web

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_NAME: Final = re.compile(rf"{_WORD}(?:/{_WORD})?")
_PARAMETER: Final = re.compile(rf"{_WORD}(?:={_WORD})?")
_WEIGHT: Final = re.compile(r"0(?:\.[0-9]*)?|1(?:\.0*)?")
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*("?)')  # one without an end is looked at once, too
_BLANK: Final = " \t"
_LONGEST: Final = 2_048
"""Characters that are looked at; browsers send some hundred."""
_VARIES: Final = aiohttp_web.RequestKey[list[str]]("varies", list)


class Packing(NamedTuple):
    """How an answer may be sent."""

    gzip: bool
    """Whether it is to be packed; where it is not, it may not."""
    plain: bool
    """Whether it may be sent as it is."""


def weights(fields: Iterable[str]) -> dict[str, float] | None:
    """Return the q-value of each range that is named, in that order.

    None if there is no such header, or it is malformed or far too long: then anything will do.
    """
    given = list(fields)
    if sum(map(len, given)) > _LONGEST:
        return None
    named: dict[str, float] = {}
    special: dict[str, float] = {}  # with parameters, which count where there is none without
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
            break  # what is behind it says nothing about the range
        known = special if others else named
        known[name.lower()] = max(weight, known.get(name.lower(), 0.0))
    return {**special, **named} if given else None


def wants_page(request: Any) -> bool:
    """Whether a browser asks, for a page; programs ask for JSON or for anything."""
    depends_on(request, "Accept")
    accepted = weights(request.headers.getall("Accept", []))
    if not accepted:
        return False
    page, json = (_rank(accepted, each) for each in ("text/html", "application/json"))
    return page[0] > 0 and page > json


def packing(request: Any) -> Packing:
    """Return whether a client takes gzip, and would rather have it."""
    accepted = weights(request.headers.getall("Accept-Encoding", []))
    if accepted is None:
        return Packing(gzip=False, plain=True)
    others = accepted.get("*")
    plain = accepted.get("identity", others)
    packed = accepted.get("gzip", accepted.get("x-gzip", others)) or 0.0
    return Packing(gzip=packed > 0 and packed >= (plain or 0.0), plain=plain != 0)


def depends_on(request: Any, header: str) -> None:
    """Note that the answer to a request depends on this header of it."""
    request[_VARIES] = [*request.get(_VARIES, ()), header]


def varies(request: Any) -> list[str]:
    """Return the headers that were noted, each once."""
    return list(dict.fromkeys(request.get(_VARIES, ())))


def _blunt(quoted: re.Match[str]) -> str:
    return "x" if quoted[1] else '"'


def _rank(accepted: Mapping[str, float], media_type: str) -> tuple[float, int, int]:
    """How much it is wanted: by q-value, else by how exactly it is named, else by its place."""
    ranges = media_type, media_type.partition("/")[0] + "/*", "*/*"
    for preciseness, each in zip((2, 1, 0), ranges, strict=True):
        if each in accepted:
            return accepted[each], preciseness, -list(accepted).index(each) if preciseness else 0
    return 0.0, 0, 0
