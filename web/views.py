"""The base class of all views, and helpers that several of them use."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, Final, TypeVar, cast
from urllib.parse import quote

from faust import web
from jinja2 import Environment, PackageLoader, StrictUndefined
from msgspec import json

from fraudapp import __version__
from models.characters import ALLOWED_CHARACTERS
from models.parsing import valid_id
from web.context import Context
from web.problems import Problem

TEMPLATES: Final = Environment(
    loader=PackageLoader("web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
MAX_WAIT_SECONDS: Final = 30.0
"""The most seconds that a request may wait for a decision."""


V = TypeVar("V", bound=type["View"])


class View(web.View):
    """A view whose answers are JSON and whose errors are problems."""

    context: ClassVar[Context]
    """Set by `web.register`."""

    def get_methods(self) -> set[str]:
        """See `faust.web.View`; the router answers other methods with 405."""
        methods: set[str] = super().get_methods()
        return methods if "GET" in methods else methods - {"HEAD"}

    async def options(self, request: web.Request, **kwargs: Any) -> web.Response:
        """Answer the methods that the view has."""
        allowed = ",".join(sorted(self.get_methods()))
        return self.bytes(b"", status=204, headers={"Allow": allowed})

    async def head(self, request: web.Request, **kwargs: Any) -> web.Response:
        """Answer as to GET; aiohttp leaves out the body."""
        return cast(web.Response, await self.get(request, **kwargs))

    def page(self, template: str) -> web.Response:
        """Render a template as a page for a browser."""
        values = {"version": __version__, "keys": bool(self.context.settings.keys)}
        return self.html(TEMPLATES.get_template(template).render(values))

    def answer(
        self, value: Any, *, status: int = 200, headers: dict[str, str] | None = None
    ) -> web.Response:
        """Encode a struct or a plain value as JSON."""
        return self.bytes(
            json.encode(value), content_type="application/json", status=status, headers=headers
        )


def route(path: str, *, name: str) -> Callable[[V], V]:
    """Set path and name on a view class; `web.register` serves it there."""

    def noted(view: V) -> V:
        view.view_path, view.view_name = path, name
        return view

    return noted


def wait_seconds(request: web.Request) -> float:
    """Return `wait_seconds` of the request, 0 by default; raises `Problem` 422."""
    text = request.query.get("wait_seconds", "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_WAIT_SECONDS:  # NaN fails this comparison too
        problem = f"must be a number from 0 to {MAX_WAIT_SECONDS:g}, got {text[:64]!r}"
        raise Problem(
            422,
            f"wait_seconds {problem}",
            errors=[{"field": "wait_seconds", "problem": problem}],
        )
    return seconds


def demand_id(transaction_id: str) -> None:
    """Raise `Problem` 404 unless a transaction can have this id."""
    if not valid_id(transaction_id):
        raise Problem(
            404, f"no transaction has such an id: 1 to 128 characters; {ALLOWED_CHARACTERS}"
        )


def status_url(transaction_id: str) -> str:
    """Return the URL of a transaction's status, whatever characters its id has."""
    return _url(transaction_id, "status")


def labels_url(transaction_id: str) -> str:
    """Return the URL of a transaction's labels, whatever characters its id has."""
    return _url(transaction_id, "labels")


def _url(transaction_id: str, what: str) -> str:
    if transaction_id in (".", ".."):  # clients would resolve them as path segments
        return f"/transaction/{what}?transaction_id={transaction_id}"
    return f"/transaction/{quote(transaction_id, safe='')}/{what}"
