"""Views that try a policy without putting it in force: by the schema, and on past decisions."""

from __future__ import annotations

import asyncio
from typing import Final

from faust import web

from models.policies.backtest import Backtest
from models.policies.reading import PolicyError
from models.policies.ruling import Ruling
from web.control import requests
from web.control.backtests import tried
from web.control.base import ControlView
from web.control.documents import Checked, Trial
from web.control.faults import located
from web.problems import Problem
from web.views import route

TIMEOUT: Final = 120.0
"""Seconds that a backtest may take."""
RETRY_AFTER: Final = 10
_turn: Final = asyncio.Lock()


@route("/policy/check", name="policy-check")
class Check(ControlView):
    """Says what is wrong with a policy."""

    async def post(self, request: web.Request) -> web.Response:
        """Answer 200 whether it is valid or not, with all that is wrong."""
        asked = await requests.policy(request, requests.JSON, requests.TOML)
        try:
            ruling = await self.compiled(asked.text)
        except PolicyError as exc:
            return self.answer(Checked(valid=False, errors=located(exc)))
        ids = [each.id for each in ruling.rules]
        return self.answer(Checked(valid=True, rules=ids, lists=[*ruling.lists]))


@route("/policy/backtest", name="policy-backtest")
class Trials(ControlView):
    """Says what a policy would have changed in the last decisions."""

    async def post(self, request: web.Request) -> web.Response:
        """Answer the backtest; only one runs on a worker at a time."""
        asked = await requests.of_json(request, Trial)
        ruling = await self.fitting(asked.text)
        if _turn.locked():
            raise Problem(
                429,
                f"another backtest runs on this worker; try again in {RETRY_AFTER} s",
                headers={"Retry-After": str(RETRY_AFTER)},
            )
        async with _turn:
            return self.answer(await self._found(ruling, asked.decisions))

    async def _found(self, ruling: Ruling, count: int) -> Backtest:
        worker = self.context.worker
        trial = tried(worker.settings, worker.parts(), ruling, count)
        try:
            return await asyncio.wait_for(trial, TIMEOUT)
        except asyncio.TimeoutError as exc:
            raise Problem(503, f"it took more than {TIMEOUT:g} s; ask for fewer decisions") from exc
