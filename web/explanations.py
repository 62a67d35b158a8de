"""Views that explain decisions."""

from __future__ import annotations

from faust import web

from fraudapp.explaining import Unexplainable
from models.records import Decision
from web.problems import Problem
from web.transactions import found
from web.views import View, route


@route("/transaction/{transaction_id:[^/]+}/explain", name="transaction-explain")
class TransactionExplanation(View):
    """Why a decision is what it is, whether it approves, flags or blocks."""

    async def get(self, request: web.Request, transaction_id: str) -> web.Response:
        """Answer 200 with the explanation; 202, 404 and 503 as for the status.

        Answers 409 if the model that the decision names, or its schema, is not here.
        """
        decision = await found(self.context.worker, transaction_id)
        if not isinstance(decision, Decision):
            return self.answer(decision, status=202)
        try:
            return self.answer(await self.context.explainer.explain(decision))
        except Unexplainable as exc:
            raise Problem(409, str(exc), model_version=decision.model_version) from exc


@route("/transaction/explain", name="explain")
class ExplanationByQuery(TransactionExplanation):
    """The same with the id in the query, which can hold ids that a path cannot."""

    async def get(self, request: web.Request, transaction_id: str = "") -> web.Response:
        """Answer as for the id in the path."""
        return await super().get(request, request.query.get("transaction_id", ""))
