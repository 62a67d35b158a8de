"""What a body must say it is before it is read."""

from __future__ import annotations

import re
from typing import Any, Final

from web.problems import Problem

_JSON: Final = re.compile(r"application/([\w.+-]+\+)?json", re.ASCII)
_CHARSETS: Final = (None, "utf-8", "utf8", "us-ascii")


def demand_json(request: Any) -> None:
    """Raise `Problem` 415 unless the body says that it is JSON in UTF-8.

    A form or a beacon of a foreign page cannot say so without asking first (Fetch, CORS preflight).
    """
    charset = request.charset and request.charset.lower()
    if _JSON.fullmatch(request.content_type) and charset in _CHARSETS:
        return
    given = request.headers.get("Content-Type")
    raise Problem(
        415,
        "the body must be JSON and say so: Content-Type: application/json"
        + (f", not {given[:128]!r}" if given else ""),
        headers={"Accept-Post": "application/json"},
    )
