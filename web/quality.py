"""The view of quality: how good decisions were, once labels have come."""

from __future__ import annotations

from typing import Any, Final

from faust import web

from models.quality.documents import DecisionQuality
from models.quality.quality import MATURE_DAYS, MAX_WEEKS
from web.control.base import query
from web.control.requests import invalid
from web.negotiation import wants_page
from web.operations import get, json, problem
from web.views import View, route

MAX_MATURE_DAYS: Final = 90
TYPES: Final = (DecisionQuality,)


@route("/quality", name="quality")
class Quality(View):
    """The quality of decisions: a page for people, JSON for programs."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer what is known, or the page if a browser asks."""
        if wants_page(request):
            return self.page("quality.html")
        weeks = _whole(request, "weeks", MAX_WEEKS, 1, MAX_WEEKS)
        mature_days = _whole(request, "mature_days", MATURE_DAYS, 0, MAX_MATURE_DAYS)
        return self.answer(self.context.quality.quality(weeks, mature_days))


def path() -> dict[str, Any]:
    """Return the path in the OpenAPI document."""
    answer = json("What is known; a page for browsers.", "DecisionQuality")
    answer["content"]["text/html"] = {"schema": {"type": "string"}}
    return get(
        "Say how good decisions were, by week, model, policy, outcome and rule",
        {
            "200": answer,
            "422": problem("A parameter is no whole number, or too large.", "InvalidBody"),
            "503": problem("This worker has just started, or stops: it does not know all cells."),
        },
        tag="Stats",
        parameters=[
            _parameter("weeks", "How many of the last weeks.", 1, MAX_WEEKS, MAX_WEEKS),
            _parameter(
                "mature_days",
                "Days after which labels count as having come.",
                *(0, MAX_MATURE_DAYS, MATURE_DAYS),
            ),
        ],
    )


def _parameter(name: str, meaning: str, least: int, most: int, default: int) -> dict[str, Any]:
    schema = {"type": "integer", "minimum": least, "maximum": most, "default": default}
    return {"name": name, "in": "query", "description": meaning, "schema": schema}


def _whole(request: web.Request, name: str, default: int, least: int, most: int) -> int:
    """Return a whole number of the query; raises `Problem` 422."""
    text = query(request).get(name)
    if text is None:
        return default
    if text.isascii() and text.isdecimal() and len(text) < 4 and least <= int(text) <= most:
        return int(text)
    raise invalid(name, f"must be a whole number from {least} to {most}, got {text[:64]!r}")
