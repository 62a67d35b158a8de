"""The view of models: which one decides, which are in its shadow, and what has come of these."""

from __future__ import annotations

from typing import Any, Final

from faust import web
from msgspec import Struct

from fraudapp.control.follower import ControlLog
from models.counts import Count
from web.control.base import ControlView
from web.operations import get, json, not_started
from web.views import route


class ModelState(Struct, frozen=True, kw_only=True):
    """A model version that this worker knows."""

    version: str
    decides: bool
    """Whether it scores what is decided here."""
    in_shadow: bool
    """Whether it scores beside that one, and decides nothing."""
    is_own: bool
    """Whether it is the one of this worker, which decides where a policy names none."""
    published: bool
    """Whether it is in the control topic, so that all workers have it."""
    author: str
    """Who has published it; empty if nobody has."""
    note: str
    rows: Count
    """Transactions that it has scored in shadow on this worker since its start."""
    agreed: Count
    """Those of them whose outcome would have been the same."""
    failures: Count
    """Transactions for which it had no score."""
    problem: str
    """Why it had none the last time; empty if it always had one."""


class ModelStates(Struct, frozen=True):
    """The models that this worker knows; one that the control topic lacks is its own."""

    models: list[ModelState]


TYPES: Final = (ModelStates,)


@route("/models", name="models")
class Models(ControlView):
    """The models of this worker."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer those of the control topic and the worker's own."""
        return self.answer(told(self.control))


def told(control: ControlLog) -> ModelStates:
    """Return what the worker that follows this control log knows, the one that decides first."""
    own, published = control.models.own.version, control.known.models
    decides = (control.in_force.scorer or control.models.own).version
    shadow = {each.version for each in control.in_force.challengers}
    found = []
    for version in dict.fromkeys((decides, own, *published)):
        record, counts = published.get(version), control.models.challengers.get(version)
        found.append(
            ModelState(
                version=version,
                decides=version == decides,
                in_shadow=version in shadow,
                is_own=version == own,
                published=record is not None,
                author=record.author if record else "",
                note=record.note if record else "",
                rows=counts.rows if counts else 0,
                agreed=counts.agreed if counts else 0,
                failures=counts.failures if counts else 0,
                problem=counts.problem if counts else "",
            )
        )
    return ModelStates(found)


def path() -> dict[str, Any]:
    """Return the path in the OpenAPI document."""
    answers = {
        "200": json("The models that this worker knows.", "ModelStates"),
        "503": not_started(),
    }
    return get("Tell which model decides, and what others say in its shadow", answers, tag="Policy")
