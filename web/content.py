"""What a body must say it is before it is read."""

from __future__ import annotations

import re
from typing import Any, Final

from web.problems import Problem

_LONGEST: Final = 256
_JSON: Final = re.compile(r"application/([\w.+-]+\+)?json", re.ASCII)
_PARAMETER: Final = re.compile(r'([\w.+-]+)=("[^"\\]*"|[\w.+-]+)', re.ASCII)
_CHARSETS: Final = frozenset({"utf-8", "utf8", "us-ascii"})


def demand_json(request: Any) -> None:
    """Raise `Problem` 415 unless the body says that it is JSON in UTF-8.

    A form or a beacon of a foreign page cannot say so without asking first (Fetch, CORS preflight).
    """
    given = ",".join(request.headers.getall("Content-Type", []))
    # Not by aiohttp, which takes seconds for what is long, and raises for what is odd.
    if len(given) <= _LONGEST and _is_json(given.lower()):
        return
    raise Problem(
        415,
        "the body must be JSON and say so: Content-Type: application/json"
        + (f", not {given[:128]!r}" if given else ""),
        headers={"Accept-Post": "application/json"},
    )


def _is_json(given: str) -> bool:
    media_type, *parameters = (part.strip(" \t") for part in given.split(";"))
    found = [_PARAMETER.fullmatch(each) for each in parameters if each]
    return bool(_JSON.fullmatch(media_type)) and all(
        each and (each[1] != "charset" or each[2].strip('"') in _CHARSETS) for each in found
    )
