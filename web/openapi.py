"""The OpenAPI 3.1 document, made from the types that validate requests and encode answers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from faust import web

from fraudapp import __version__
from fraudapp.settings import Settings
from models.characters import ALLOWED_CHARACTERS
from models.records import MAX_TEXT_CHARACTERS
from models.schema.schema import Schema
from models.splitting import MAX_ITEMS
from web import schemas
from web.components import REF, components
from web.examples import documented
from web.form import Form
from web.messages import component
from web.views import MAX_WAIT_SECONDS, View, route

ANSWERS: Final = (
    schemas.Pending,
    schemas.Conflict,
    schemas.ProblemDocument,
    schemas.InvalidBody,
    schemas.NotReady,
    schemas.Health,
    schemas.Ready,
    schemas.Stats,
    schemas.Details,
    Form,
)
WAIT: Final[dict[str, Any]] = {
    "name": "wait_seconds",
    "in": "query",
    "description": "Seconds to wait for the decision. The answer comes as soon as it is made.",
    "schema": {"type": "number", "minimum": 0, "maximum": MAX_WAIT_SECONDS, "default": 0},
    "example": 5,
}
_TRACE: Final = {
    name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-ID", "traceparent")
}
ID: Final[dict[str, Any]] = {
    "name": "transaction_id",
    "in": "path",
    "required": True,
    "description": f"As its producer gave it: {ALLOWED_CHARACTERS}.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_TEXT_CHARACTERS},
}


@route("/openapi.json", name="openapi")
class OpenApi(View):
    """The document as JSON."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer the document."""
        return self.answer(document(self.context.settings))


def document(settings: Settings) -> dict[str, Any]:
    """Return the OpenAPI document of this worker."""
    schema = settings.transaction_schema
    described = components(schema, *ANSWERS)
    schemes = {"bearer": {"type": "http", "scheme": "bearer"}}
    schemes["header"] = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "fraudapp",
            "version": __version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Decisions on payments: APPROVE, FLAG or BLOCK. Every error is "
            "`application/problem+json`. Where API keys are set, reading needs one with the scope "
            "`read`, and sending one with `write`.",
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"header": []}] if settings.keys else [],
        "paths": _paths(schema),
        "components": {
            "schemas": described,
            "securitySchemes": schemes,
            "headers": {
                "X-Request-ID": _header("As the request had it, or a new one; it is in the log."),
                "traceparent": _header("W3C Trace Context, of the request's trace or a new one."),
            },
        },
    }


def _paths(schema: Schema) -> dict[str, Any]:
    examples = documented(schema)
    id_ = ID | {"example": examples.pending["transaction_id"]}
    status = partial(
        _get,
        "Get the decision on a transaction",
        {
            "200": _json("The decision.", "Decision", examples.decision),
            "202": _json("Accepted, and not decided yet.", "Pending", examples.pending),
            "404": _problem("No such transaction is known."),
            "422": _problem("`wait_seconds` is no number from 0 to 30.", "InvalidBody"),
            "503": _problem("Not known at present: a sink lags, or a part does not answer."),
        },
        tag="Transactions",
    )
    ready = {"200": _json("Ready.", "Ready"), "503": _problem("Not ready, and why.", "NotReady")}
    stream = {
        "200": _content("Events of `Details` as JSON.", "text/event-stream", {"type": "string"}),
        "503": _no_counts(),
    }
    prometheus = {"200": _content("Prometheus text.", "text/plain", {"type": "string"})}
    anything = {"200": _content("The document.", "application/json", {"type": "object"})}
    page = {"200": _content("HTML.", "text/html", {"type": "string"})}
    found = {"302": _problem("To `/stats`.")}
    return {
        "/transactions": {"post": _post(schema)},
        "/transaction/{transaction_id}/status": status(parameters=[id_, WAIT]),
        "/transaction/status": status(parameters=[id_ | {"in": "query"}, WAIT]),
        "/stats": _get("Count decisions of the whole cluster, exactly", _stats(), tag="Stats"),
        "/stats/details": _get(
            "Get all data that the page shows",
            {"200": _json("The details.", "Details"), "503": _no_counts()},
            tag="Stats",
        ),
        "/stats/form": _get(
            "Get the fields of a transaction, as the page asks for them and shows them",
            {"200": _json("The form.", "Form")},
            tag="Stats",
        ),
        "/stats/stream": _get("The same about every second", stream, tag="Stats"),
        "/healthz": _open("Whether the worker is alive", {"200": _json("It is.", "Health")}),
        "/readyz": _open("Whether the worker is ready", ready),
        "/metrics": _get("Metrics of this worker", prometheus),
        "/openapi.json": _get("This description", anything),
        "/asyncapi.json": _get("The topics described as AsyncAPI 3", anything),
        "/docs": _get("This description as a page", page),
        "/": _get("Go to the stats", found),
    }


def _post(schema: Schema) -> dict[str, Any]:
    one = _ref(component(schema))
    outcome = {"anyOf": [_ref("Decision"), _ref("Pending"), _ref("Conflict")]}
    message = documented(schema).message
    example = {"one": {"value": message}, "many": {"value": [message]}}
    several = {"type": "array", "items": one, "maxItems": MAX_ITEMS}
    answer = {"anyOf": [outcome, {"type": "array", "items": outcome}]}
    return _operation(
        "Send a transaction, or an array of them",
        {
            "200": _content(
                "The decisions, if they were waited for and all are there; in an array an item "
                "can be a conflict.",
                "application/json",
                answer,
            ),
            "202": _content("Accepted: Kafka has them.", "application/json", answer),
            "400": _problem("The body is not what its headers say."),
            "408": _problem("The body took too long to come."),
            "409": _problem("The id was used before, with another payload."),
            "413": _problem("The body is too large."),
            "415": _problem(
                "The body is not declared as JSON, or is encoded neither as gzip nor as deflate."
            ),
            "422": _problem("Nothing was accepted; each wrong field is named.", "InvalidBody"),
            "503": _problem("The broker does not answer."),
        },
        tag="Transactions",
        parameters=[WAIT],
        requestBody={
            "required": True,
            "content": {
                "application/json": {"schema": {"anyOf": [one, several]}, "examples": example}
            },
        },
    )


def _stats() -> dict[str, Any]:
    answer = _json("The counts; a page for browsers.", "Stats")
    answer["content"]["text/html"] = {"schema": {"type": "string"}}
    return {"200": answer, "503": _no_counts()}


def _get(
    summary: str, responses: Mapping[str, Any], *, tag: str = "Worker", **more: Any
) -> dict[str, Any]:
    return {"get": _operation(summary, responses, tag=tag, **more)}


def _open(summary: str, responses: Mapping[str, Any]) -> dict[str, Any]:
    return {"get": {"summary": summary, "tags": ["Worker"], "security": [], "responses": responses}}


def _operation(
    summary: str, responses: Mapping[str, Any], *, tag: str, **more: Any
) -> dict[str, Any]:
    refusals = {
        "401": _problem("A key is needed, or this one is wrong."),
        "403": _problem("The key lacks the scope, or a page of another origin asks."),
        "406": _problem("`Accept-Encoding` accepts neither gzip nor identity."),
        "421": _problem("The `Host` is not a name of this server."),
        "429": _problem("Too many requests; `Retry-After` tells when to try again."),
        "500": _problem("An error on our side."),
    }
    return {
        "summary": summary,
        "tags": [tag],
        **more,
        "responses": {**responses, **refusals},
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": REF.format(name=name)}


def _content(description: str, media_type: str, schema: Any, **more: Any) -> dict[str, Any]:
    content = {media_type: {"schema": schema, **more}}
    return {"description": description, "headers": _TRACE, "content": content}


def _json(description: str, schema: str, example: Any = None) -> dict[str, Any]:
    more = {} if example is None else {"example": example}
    return _content(description, "application/json", _ref(schema), **more)


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


def _problem(description: str, schema: str = "ProblemDocument") -> dict[str, Any]:
    return _content(description, "application/problem+json", _ref(schema))


def _no_counts() -> dict[str, Any]:
    return _problem("This worker has just started, or stops: it does not know all counts.")
