"""What the views of policies and lists share: the control log, who asks, and who has followed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final, cast

from aiohttp import web as aiohttp_web
from faust import web

from fraudapp.control.follower import ControlLog
from fraudapp.control.writer import ControlWriter
from models.policies.reading import PolicyError
from models.policies.ruling import Ruling
from tables.heartbeats import Heartbeat
from web.control import state
from web.control.faults import fitting, refusal
from web.control.requests import within_time
from web.views import View

ANONYMOUS: Final = "anonymous"
"""The author of what is done without a key."""
LOOK_INTERVAL: Final = 0.2
"""Seconds between two looks at the heartbeats of the workers that one waits for."""


class ControlView(View):
    """A view of policies or lists."""

    @property
    def control(self) -> ControlLog:
        """What this worker follows; raises `NotStarted`."""
        return self.context.worker.parts().control

    def writer(self) -> ControlWriter:
        """Return what writes to the control topic; raises `NotStarted`."""
        return self.context.worker.control_writer()

    def author(self, request: web.Request) -> str:
        """Return the name of the key that asks."""
        key = self.context.access.key_of(cast(aiohttp_web.Request, request))
        return key.name if key else ANONYMOUS

    async def catch_up(self) -> None:
        """Read what others have written; raises `Problem` 503, or `KafkaError`."""
        await within_time(self._catch_up())

    async def _catch_up(self) -> None:
        await self.control.read_to(await self.control.end())

    async def compiled(self, text: str) -> Ruling:
        """Return a policy as this worker compiles it; raises `PolicyError`."""
        schema = self.context.settings.transaction_schema
        return await fitting(text, schema, self.control.models)

    async def fitting(self, text: str) -> Ruling:
        """Return the same; raises `Problem` 422."""
        try:
            return await self.compiled(text)
        except PolicyError as exc:
            raise refusal(exc) from exc

    async def answer_change(self, number: int, wait: float) -> web.Response:
        """Answer what is in force, once all workers decide by policy `number` or a later one.

        Waits for them `wait` seconds at most, and not for a worker that stops.
        """
        closed, clock = self.context.worker.waiters.closed, asyncio.get_running_loop().time
        until = clock() + wait
        while (left := until - clock()) > 0 and not closed.is_set():
            if not state.lagging(number, self._heartbeats()):
                break
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(closed.wait(), min(left, LOOK_INTERVAL))
        told = state.changed(self.control, self.context.settings, number, self._heartbeats())
        return self.answer(told, headers=tag(told.id))

    def _heartbeats(self) -> list[Heartbeat]:
        return [each for _, each in self.context.tables.heartbeats.items()]


def tag(id_: str) -> dict[str, str]:
    """Return the header with the id of the policy that the next one takes the place of."""
    return {"ETag": f'"{id_}"'}


def query(request: web.Request) -> Any:
    """Return the query of a request."""
    return cast(Any, request).query
