"""Views that approve the policy of somebody else, and end a cap."""

from __future__ import annotations

from faust import web

from models.control.chain import Candidate
from models.control.records import CapKey, Capped
from web.control import requests, state
from web.control.base import ControlView, tag
from web.control.documents import Approval, CapEnd
from web.problems import Problem
from web.views import route, wait_seconds


@route("/policy/approvals", name="policy-approvals")
class Approvals(ControlView):
    """Approves policies that wait for it."""

    async def post(self, request: web.Request) -> web.Response:
        """Put a policy in force which somebody else has proposed."""
        wait = wait_seconds(request)
        asked = await requests.of_json(request, Approval)
        author = self.author(request)
        await self.catch_up()
        candidate = self._waiting(asked.id, author)
        await self.fitting(candidate.proposed.text)
        await requests.within_time(self.writer().approve(asked.id, author=author, note=asked.note))
        if not candidate.number:
            raise self._too_late(candidate)
        return await self.answer_change(candidate.number, wait)

    def _waiting(self, id_: str, author: str) -> Candidate:
        candidate = self.control.known.chain.candidates.get(id_)
        if candidate is None:
            raise Problem(404, f"no policy with the id {id_} was proposed")
        if candidate.fate != "waits for approval":
            raise self._too_late(candidate)
        if candidate.proposed.author == author:
            raise Problem(
                403, f"{author!r} has proposed this policy; another key has to approve it"
            )
        return candidate

    def _too_late(self, candidate: Candidate) -> Problem:
        told = state.current(self.control, self.context.settings)
        why = f"it is version {candidate.number} already" if candidate.number else candidate.why
        return Problem(409, f"nothing was approved: {why}", headers=tag(told.id), policy=told)


@route("/policy/caps", name="policy-caps")
class Caps(ControlView):
    """Ends a cap of the policy in force."""

    async def post(self, request: web.Request) -> web.Response:
        """End a cap before it ends by itself; it begins again if the share is above it again."""
        asked = await requests.of_json(request, CapEnd)
        await self.catch_up()
        candidate = self.control.candidate
        caps = self.control.known.caps.get(candidate.id) if candidate else None
        begun = caps.begun.get(asked.rule) if caps else None
        if candidate is None or begun is None:
            which = f"on rule {asked.rule!r:.80}" if asked.rule else "on all that is blocked"
            raise Problem(404, f"no cap {which} has begun")
        ended = Capped(on=False, share=begun.share, author=self.author(request), note=asked.note)
        await requests.within_time(
            self.writer().set_caps({CapKey(candidate.id, asked.rule): ended})
        )
        return await self.answer_change(candidate.number, 0.0)
