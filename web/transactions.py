"""Views that take transactions over HTTP and tell their decisions."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, cast

import msgspec
from faust import web

from fraudapp.decisions.recent import Unknowable
from fraudapp.queries import await_decision, find, labelled
from fraudapp.submit import is_accepted, submit
from fraudapp.worker import FraudWorker
from models.records import Decision, Transaction
from models.splitting import MAX_ITEM_BYTES
from web import bodies
from web.audit import note_transactions
from web.label_documents import effective
from web.problems import Problem
from web.schemas import Conflict, Pending
from web.views import View, demand_id, route, status_url, wait_seconds


@route("/transactions", name="transactions")
class Transactions(View):
    """Accepts transactions: one JSON object, or an array of them."""

    async def post(self, request: web.Request) -> web.Response:
        """Answer 202 once Kafka has them, or 200 with decisions if the caller waits for them."""
        bodies.demand_json(request)
        worker = self.context.worker
        wait = wait_seconds(request)
        body = await bodies.read(cast(Any, request))
        if body[:MAX_ITEM_BYTES].lstrip()[:1] == b"[":
            transactions = await bodies.many(body, self.context.settings.transaction_schema)
            note_transactions(request, len(transactions))
            await submit(worker, transactions)
            answers = await asyncio.gather(*(_outcome(worker, each, wait) for each in transactions))
            settled = wait > 0 and not any(isinstance(each, Pending) for each in answers)
            return self.answer(answers, status=200 if settled else 202)
        transaction = bodies.one(body, self.context.settings.transaction_schema)
        note_transactions(request, 1)
        await submit(worker, [transaction])
        answer = await _outcome(worker, transaction, wait)
        if isinstance(answer, Decision):
            return self.answer(answer)
        where = status_url(transaction.transaction_id)
        if isinstance(answer, Conflict):
            detail = "this transaction_id was used before, with another payload"
            raise Problem(409, detail, status_url=where)
        return self.answer(answer, status=202, headers={"Location": where})


# The pattern is needed for ids with a brace in them, which aiohttp does not match without one.
@route("/transaction/{transaction_id:[^/]+}/status", name="transaction-status")
class TransactionStatus(View):
    """The decision of a transaction; waits for it if the caller asks."""

    async def get(self, request: web.Request, transaction_id: str) -> web.Response:
        """Answer 200 with the decision, 202 while there is none yet, or 404 for an unknown id.

        Answers 503 if this worker cannot tell which of the three it is.
        """
        answer = await found(self.context.worker, transaction_id, wait=wait_seconds(request))
        if isinstance(answer, Decision):
            return self.answer(self._with_label(answer))
        return self.answer(answer, status=202)

    def _with_label(self, decision: Decision) -> Decision | dict[str, Any]:
        label = None
        with suppress(Unknowable):  # the decision itself is known
            label = labelled(self.context.worker, decision.transaction_id)
        if label is None:
            return decision
        return {**msgspec.to_builtins(decision), "label": effective(label)}


@route("/transaction/status", name="status")
class Status(TransactionStatus):
    """The same with the id in the query, which can hold ids that a path cannot."""

    async def get(self, request: web.Request, transaction_id: str = "") -> web.Response:
        """Answer as for the id in the path."""
        return await super().get(request, request.query.get("transaction_id", ""))


async def found(
    worker: FraudWorker, transaction_id: str, *, wait: float = 0.0
) -> Decision | Pending:
    """Return the decision on a transaction, or that there is none yet.

    Raises `Problem` 404 for an unknown id, and like `fraudapp.queries.find` if it is not known now.
    """
    demand_id(transaction_id)
    decision = await find(worker, transaction_id, wait=wait)
    if decision is not None:
        return decision
    if await is_accepted(worker, transaction_id):
        return _pending(transaction_id)
    raise Problem(404, f"no transaction {transaction_id!r} is known")


async def _outcome(
    worker: FraudWorker, transaction: Transaction, wait: float
) -> Decision | Pending | Conflict:
    decision = None
    if wait > 0:
        decision = await await_decision(worker, transaction.transaction_id, wait)
    if decision is None:
        return _pending(transaction.transaction_id)
    if decision.transaction != transaction:
        id_ = transaction.transaction_id
        return Conflict(id_, "CONFLICT", status_url(id_))
    return decision


def _pending(transaction_id: str) -> Pending:
    return Pending(transaction_id, "PENDING", status_url(transaction_id))
