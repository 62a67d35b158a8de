"""The ids of a request: `X-Request-ID`, and `traceparent` of W3C Trace Context.

A well-formed id of the client is kept, any other is replaced by a new one. The answer has both ids.
"""

from __future__ import annotations

import re
import secrets
from typing import Final

from multidict import MultiMapping

from fraudapp.process.traces import Trace

MAX_ID_CHARACTERS: Final = 128
_REQUEST_ID: Final = re.compile(rf"[A-Za-z0-9._~:/+=@,|-]{{1,{MAX_ID_CHARACTERS}}}")
_PARENT: Final = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}"
    r"-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)


def begun(headers: MultiMapping[str]) -> Trace:
    """Return the trace of a new request, with the ids of its headers where they are well-formed."""
    given = headers.getall("X-Request-ID", [])
    taken = len(given) == 1 and _REQUEST_ID.fullmatch(given[0])
    parent = _parent(headers.getall("traceparent", []))
    return Trace(
        request_id=given[0] if taken else secrets.token_hex(16),
        trace_id=parent["trace"] if parent else secrets.token_hex(16),
        span_id=secrets.token_hex(8),
        sampled=bool(parent and int(parent["flags"], 16) & 1),
    )


def headers(trace: Trace) -> dict[str, str]:
    """Return the headers by which an answer tells its trace."""
    return {
        "X-Request-ID": trace.request_id,
        "traceparent": f"00-{trace.trace_id}-{trace.span_id}-{trace.sampled:02x}",
    }


def _parent(given: list[str]) -> re.Match[str] | None:
    match = _PARENT.fullmatch(given[0].strip(" \t")) if len(given) == 1 else None
    if match and match["version"] == "00" and match["more"]:
        return None  # only later versions may have more fields
    return match
