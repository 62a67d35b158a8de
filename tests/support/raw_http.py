"""Requests to a worker as they are given, with nothing added, followed or raised."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from email.message import Message
from urllib.parse import urlsplit

NONE: Mapping[str, str] = {}


def send(
    url: str,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] = NONE,
    source: str = "",
) -> tuple[int, Message, bytes]:
    """Status, headers and body of the answer; of a stream of events, no body.

    `source` is the address of this machine to ask from.
    """
    connection = http.client.HTTPConnection(
        urlsplit(url).netloc, timeout=40, source_address=(source, 0) if source else None
    )
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        stream = answer.headers["Content-Type"] == "text/event-stream"
        return answer.status, answer.headers, b"" if stream else answer.read()
    finally:
        connection.close()


def named(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers whose names are written with `_` for `-`."""
    return {name.replace("_", "-"): value for name, value in headers.items()}
