"""Views that take labels over HTTP, and tell those that are known."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, cast

import msgspec
from aiohttp import web as aiohttp_web
from faust import web

from fraudapp.queries import labelled
from fraudapp.submit import submit_label
from models.labels.parsing import InvalidLabel, from_mapping
from models.labels.records import Label
from models.parsing import UNREADABLE
from models.records import FieldError
from models.splitting import MAX_ITEM_BYTES
from web import bodies, label_documents
from web.label_documents import LabelAccepted
from web.problems import Problem
from web.views import View, demand_id, labels_url, route


# The pattern is needed for ids with a brace in them, which aiohttp does not match without one.
@route("/transaction/{transaction_id:[^/]+}/label", name="transaction-label")
class TransactionLabel(View):
    """Takes what a source says of a transaction, which need not be decided yet."""

    async def post(self, request: web.Request, transaction_id: str) -> web.Response:
        """Answer 202 once Kafka has the label."""
        bodies.demand_json(request)
        body = await bodies.read(cast(Any, request))
        label = self._parsed(body, transaction_id, self._teller(request))
        await submit_label(self.context.worker, label)
        where = labels_url(transaction_id)
        answer = LabelAccepted(transaction_id, "ACCEPTED", where)
        return self.answer(answer, status=202, headers={"Location": where})

    def _teller(self, request: web.Request) -> dict[str, str]:
        key = self.context.access.key_of(cast(aiohttp_web.Request, request))
        return {"by": key.name} if key else {}

    def _parsed(self, body: bytes, transaction_id: str, defaults: dict[str, str]) -> Label:
        if len(body) > MAX_ITEM_BYTES:
            raise Problem(413, f"the size of a label is at most {MAX_ITEM_BYTES:,} bytes")
        try:
            fields = msgspec.json.decode(body)
            if isinstance(fields, dict):
                _demand_id(fields.pop("transaction_id", transaction_id), transaction_id)
                fields = {**defaults, **fields, "transaction_id": transaction_id}
            return from_mapping(fields, datetime.now(timezone.utc))
        except InvalidLabel as exc:
            raise bodies.invalid(error.as_json() for error in exc.errors) from exc
        except UNREADABLE as exc:
            error = FieldError("", f"not valid JSON: {exc}")
            raise bodies.invalid([error.as_json()]) from exc


@route("/transaction/label", name="label")
class LabelByQuery(TransactionLabel):
    """The same with the id in the query, which can hold ids that a path cannot."""

    async def post(self, request: web.Request, transaction_id: str = "") -> web.Response:
        """Answer as for the id in the path."""
        return await super().post(request, request.query.get("transaction_id", ""))


@route("/transaction/{transaction_id:[^/]+}/labels", name="transaction-labels")
class TransactionLabels(View):
    """What all sources have said of a transaction that was decided."""

    async def get(self, request: web.Request, transaction_id: str) -> web.Response:
        """Answer 200 with the label that counts and those of all sources, or 404 without any."""
        demand_id(transaction_id)
        found = labelled(self.context.worker, transaction_id)
        if found is None:
            raise Problem(404, f"no label on a decision of transaction {transaction_id!r} is known")
        return self.answer(label_documents.labels(found))


@route("/transaction/labels", name="labels")
class LabelsByQuery(TransactionLabels):
    """The same with the id in the query, which can hold ids that a path cannot."""

    async def get(self, request: web.Request, transaction_id: str = "") -> web.Response:
        """Answer as for the id in the path."""
        return await super().get(request, request.query.get("transaction_id", ""))


def _demand_id(given: object, transaction_id: str) -> None:
    """Raise `InvalidLabel` if the id in a body is another one than it is asked about."""
    if given != transaction_id:
        wrong = "is another one than that of the path or the query; leave it out"
        raise InvalidLabel([FieldError("transaction_id", wrong)])
