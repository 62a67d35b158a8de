"""The view of the watch: whether models see what they were trained on, and find what they found."""

from __future__ import annotations

from typing import Any, Final

from faust import web

from models.watch.documents import Watched
from web.operations import get, json, problem
from web.views import View, route

TYPES: Final = (Watched,)


@route("/watch", name="watch")
class Watch(View):
    """The alarms of the watch, and what was counted; people see them on the page `/quality`."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer what is known."""
        return self.answer(self.context.watch.watched())


def path() -> dict[str, Any]:
    """Return the path in the OpenAPI document."""
    return get(
        "Say whether models still see and find what they did in training",
        {
            "200": json("Alarms, and what was counted by model and day.", "Watched"),
            "503": problem("This worker has just started, or stops: it does not know all cells."),
        },
        tag="Stats",
    )
