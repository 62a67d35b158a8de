"""Views of the policy: what is in force, what was before, and what is to be."""

from __future__ import annotations

from itertools import islice
from typing import Final

from faust import web

from models.control.chain import Candidate
from models.control.records import ROOT
from web.control import requests, state
from web.control.base import ControlView, query, tag
from web.control.documents import History, NewPolicy
from web.negotiation import wants_page
from web.problems import Problem
from web.views import route, wait_seconds

MAX_HISTORY: Final = 1_000
DEFAULT_HISTORY: Final = 100


@route("/policy", name="policy")
class Policy(ControlView):
    """The policy: a page for people, JSON for programs."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer what is in force, or the page if a browser asks."""
        if wants_page(request):
            return self.page("policy.html")
        told = state.current(self.control, self.context.settings)
        return self.answer(told, headers=tag(told.id))

    async def put(self, request: web.Request) -> web.Response:
        """Put a policy in force in the place of its parent, unless somebody else was faster.

        Answers 202 if somebody else has to approve it first.
        """
        wait = wait_seconds(request)
        asked = await requests.policy(request, requests.JSON, requests.TOML, requests.TEXT)
        expected = self._demanded_parent(request, asked)
        await self.fitting(asked.text)
        candidate = await requests.within_time(
            self.writer().propose(
                asked.text,
                author=self.author(request),
                parent=await self._parent(expected),
                note=asked.note,
                needs_approval=self.context.settings.policy_approval,
            )
        )
        if candidate.fate == "waits for approval":
            return self.answer(state.entry(candidate), status=202)
        if not candidate.number:
            raise self._too_late(candidate.why)
        return await self.answer_change(candidate.number, wait)

    def _demanded_parent(self, request: web.Request, asked: NewPolicy) -> str | int:
        tagged = requests.parent_tag(request)
        expected = asked.parent if tagged is None else tagged
        if expected is None:
            raise Problem(
                428,
                "say which policy this one takes the place of: the id that GET /policy tells, as "
                'If-Match: "ID", or as `parent` beside `text` in a body of JSON',
            )
        return expected

    async def _parent(self, expected: str | int) -> str:
        """Return the id of the policy in force if it is the expected one; raises `Problem`."""
        chain = self.control.known.chain
        if expected == "*":
            return chain.head
        if self._id(expected) != chain.head:
            await self.catch_up()
        if (id_ := self._id(expected)) != chain.head:
            raise self._too_late(f"the policy in force is not {expected!r:.80}")
        return id_ or ROOT

    def _id(self, expected: str | int) -> str | None:
        if isinstance(expected, str):
            return expected
        member = self.control.known.chain.member(expected)
        return member.id if member else ROOT if expected == 0 else None

    def _too_late(self, why: str) -> Problem:
        told = state.current(self.control, self.context.settings)
        return Problem(
            409,
            f"nothing is in force of this: {why}; policy {told.number} is, which `policy` has",
            headers=tag(told.id),
            policy=told,
        )


@route("/policy/versions/{version:[^/]+}", name="policy-version")
class PolicyVersion(ControlView):
    """One policy, by its number or its id, whatever became of it."""

    async def get(self, request: web.Request, version: str) -> web.Response:
        """Answer it with its text, or 404; number 0 is of the thresholds in the settings."""
        if version == "0":
            return self.answer(state.before_any(self.context.settings))
        candidate = self._found(version)
        if candidate is None:
            raise Problem(404, f"there is no policy {version!r:.80}: give a number, or an id")
        return self.answer(state.version(candidate))

    def _found(self, version: str) -> Candidate | None:
        chain = self.control.known.chain
        if candidate := chain.candidates.get(version):
            return candidate
        is_number = version.isascii() and version.isdecimal() and len(version) <= 9
        return chain.member(int(version)) if is_number else None


@route("/policy/history", name="policy-history")
class PolicyHistory(ControlView):
    """All that was proposed."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer the newest ones, without their texts."""
        newest = reversed([*self.control.known.chain.candidates.values()])
        return self.answer(History([*map(state.entry, islice(newest, _limit(request)))]))


def _limit(request: web.Request) -> int:
    text = query(request).get("limit", str(DEFAULT_HISTORY))
    if text.isascii() and text.isdecimal() and len(text) < 9 and 1 <= int(text) <= MAX_HISTORY:
        return int(text)
    raise requests.invalid("limit", f"must be from 1 to {MAX_HISTORY:,}, got {text[:64]!r}")
