"""The view of models: which one decides, which are in its shadow, and what has come of these."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from faust import web
from msgspec import Struct

from fraudapp.control.follower import ControlLog
from models.control.chain import Candidate
from models.control.serving import serving_since
from models.counts import Count
from models.policies.definition import Probability
from models.policies.naming import NamedModels
from web.control import state
from web.control.base import ControlView
from web.operations import get, json, not_started
from web.views import route


class ModelState(Struct, frozen=True, kw_only=True):
    """A model version that this worker knows."""

    version: str
    decides: bool
    """Whether it scores what is decided here, but for the share of the canary."""
    in_shadow: bool
    """Whether it scores beside that one; only as the canary it decides anything."""
    canary: Probability
    """The share of senders for whom it decides all the same; 0 if it is not the canary."""
    since: datetime | None
    """When the first of the policies came in force that have had it decide, or score in shadow, up
    to now; of a model with both, that for deciding. None if it does neither, or if no policy has
    changed it: the worker's own decides without one."""
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
    """Why it had none the last time, or cannot be fetched from the archive; else empty."""


class ModelStates(Struct, frozen=True):
    """The models that this worker knows; one that the control topic lacks is its own."""

    models: list[ModelState]


TYPES: Final = (ModelStates,)


@route("/models", name="models")
class Models(ControlView):
    """The models of this worker."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer those of the control topic and the worker's own."""
        return self.answer(await told(self.control))


async def told(control: ControlLog) -> ModelStates:
    """Return what the worker that follows this control log knows, the one that decides first."""
    own, published = control.models.own.version, control.known.models
    decides = (control.in_force.scorer or control.models.own).version
    shadow = {each.version for each in control.in_force.challengers}
    canary, share = control.in_force.canary, control.in_force.ruling.policy.canary
    since = await _since(control, decides, shadow)
    found = []
    for version in dict.fromkeys((decides, own, *published)):
        record, counts = published.get(version), control.models.challengers.get(version)
        found.append(
            ModelState(
                version=version,
                decides=version == decides,
                in_shadow=version in shadow,
                canary=share if canary and canary.challenger.version == version else 0.0,
                since=since.get(version),
                is_own=version == own,
                published=record is not None,
                author=record.author if record else "",
                note=record.note if record else "",
                rows=counts.rows if counts else 0,
                agreed=counts.agreed if counts else 0,
                failures=counts.failures if counts else 0,
                problem=(counts.problem if counts else "") or control.models.trouble(version),
            )
        )
    return ModelStates(found)


async def _since(control: ControlLog, decides: str, shadow: set[str]) -> dict[str, datetime | None]:
    """Return since when each model serves; policies are read beside the event loop."""
    if control.candidate is None:
        return {}
    members = control.known.chain.members[: control.candidate.number]
    own = control.models.own.version

    def moments() -> dict[str, datetime | None]:
        found = {version: _moment(members, _in_shadow(version)) for version in shadow}
        found[decides] = _moment(members, lambda named: (named.decides or own) == decides)
        return found

    return await asyncio.to_thread(moments)


def _in_shadow(version: str) -> Callable[[NamedModels], bool]:
    return lambda named: version in named.shadow


def _moment(members: list[Candidate], serves: Callable[[NamedModels], bool]) -> datetime | None:
    first = serving_since(members, serves)
    return state.moment(first.written_at) if first else None


def path() -> dict[str, Any]:
    """Return the path in the OpenAPI document."""
    answers = {
        "200": json("The models that this worker knows.", "ModelStates"),
        "503": not_started(),
    }
    return get("Tell which model decides, and what others say in its shadow", answers, tag="Policy")
