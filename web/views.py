"""What all views have in common."""

from __future__ import annotations

import math
from typing import Any, Final
from urllib.parse import quote

from faust import web
from faust.web.exceptions import WebError
from msgspec import json

from web.problems import Problem

LONGEST_WAIT: Final = 30.0
"""Seconds a request may ask to wait for a decision."""


class View(web.View):
    """A view whose answers are JSON and whose errors are problems."""

    async def on_request_error(self, request: web.Request, exc: WebError) -> web.Response:
        """See `faust.web.View`; only Faust's own "method not allowed" comes this way."""
        raise Problem(exc.code or 500, str(exc.detail or exc))

    def answer(
        self, value: Any, *, status: int = 200, headers: dict[str, str] | None = None
    ) -> web.Response:
        """Return any record or plain value as JSON."""
        return self.bytes(
            json.encode(value), content_type="application/json", status=status, headers=headers
        )


def wait_seconds(request: web.Request) -> float:
    """Return how long the request asks to wait, 0 by default; raises `Problem`."""
    text = request.query.get("wait_seconds", "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= LONGEST_WAIT:  # NaN fails this comparison too
        problem = f"must be a number from 0 to {LONGEST_WAIT:g}, got {text[:64]!r}"
        raise Problem(
            422,
            f"wait_seconds {problem}",
            errors=[{"field": "wait_seconds", "problem": problem}],
        )
    return seconds


def status_url(transaction_id: str) -> str:
    """Return where the status of a transaction is found."""
    return f"/transaction/{quote(transaction_id, safe='')}/status"


def state(transaction_id: str, status: str) -> dict[str, str]:
    """Return what is said of a transaction without decision: `PENDING`, or `CONFLICT`."""
    return {
        "transaction_id": transaction_id,
        "status": status,
        "status_url": status_url(transaction_id),
    }


def is_state(answer: object, status: str) -> bool:
    """Whether an answer is that state, and no decision."""
    return isinstance(answer, dict) and answer["status"] == status
