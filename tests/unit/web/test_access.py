"""A key opens what its scopes allow at that moment, and the audit log names its holder."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from fraudapp.config.api_keys import parse
from fraudapp.process.logs import AUDIT
from fraudapp.settings import load
from web.access import Access
from web.audit import Audit
from web.caller import Callers
from web.problems import Problem, problems

OLD, NEW = "an-old-secret-of-a-key", "a-new-secret-of-a-key!"
HEADERS = {"X-API-Key": OLD}
Client = TestClient[web.Request, web.Application]


class Held:
    """An application whose handler waits until the test releases it."""

    def __init__(self, access: Access, *, failing: bool = False) -> None:
        self.access = access
        self.failing = failing
        self.reached = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.reached.set()
        await self.may_answer.wait()
        if self.failing:
            raise Problem(404, "nobody knows it")
        return web.Response(status=202)

    async def reached_by(self, asked: asyncio.Future[Any]) -> None:
        """Return once the handler waits; raises if the request was answered before."""
        reaching = asyncio.ensure_future(self.reached.wait())
        await asyncio.wait([reaching, asked], return_when=asyncio.FIRST_COMPLETED)
        assert not asked.done()

    @asynccontextmanager
    async def served(self) -> AsyncIterator[Client]:
        application = web.Application(
            middlewares=[
                Audit(self.access, Callers([])).audited,
                problems,
                self.access.checked,
            ]
        )
        application.router.add_route("*", "/", self.answer)
        async with TestClient(TestServer(application)) as client:
            yield client


@pytest.fixture
def access() -> Access:
    return Access(load({"FRAUD_API_KEYS": f"old:read+write:{OLD}"}), Callers([]))


@pytest.fixture
def give(access: Access, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts the keys of a text in force."""
    return lambda text: monkeypatch.setattr(access, "_keys", parse(text))


async def test_who_wrote_is_told_as_of_when_it_was_let_in(
    access: Access, give: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    waiting = Held(access)
    with caplog.at_level(logging.INFO, AUDIT):
        async with waiting.served() as client:
            asked = asyncio.ensure_future(client.post("/", headers=HEADERS))
            await waiting.reached_by(asked)
            give(f"new:read+write:{NEW}")
            waiting.may_answer.set()
            await asked
    (record,) = (each for each in caplog.records if each.name == AUDIT)
    assert record.__dict__["key"] == "old"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("failing", [False, True])
async def test_who_waits_is_told_nothing_once_the_key_is_gone(
    access: Access, give: Callable[[str], None], method: str, failing: bool
) -> None:
    for after, status in (
        (f"new:read+write:{NEW},same:read+write:{OLD}", 404 if failing else 202),
        (f"new:read+write:{NEW}", 401),
    ):
        give(f"old:read+write:{OLD}")
        waiting = Held(access, failing=failing)
        async with waiting.served() as client:
            asked = asyncio.ensure_future(client.request(method, "/", headers=HEADERS))
            await waiting.reached_by(asked)
            give(after)
            waiting.may_answer.set()
            assert (await asked).status == status
