"""The OpenAPI 3.1 document, made from the types that validate requests and encode answers."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from faust import web

from fraudapp import __version__
from fraudapp.settings import Settings
from models.characters import ALLOWED_CHARACTERS
from models.records import MAX_TEXT_CHARACTERS
from models.schema.schema import Schema
from models.splitting import MAX_ITEMS
from web import known_models, quality, schemas, watch
from web import openapi_explained as explained
from web import openapi_labels as labels
from web.access import READING, needed_scope
from web.components import components
from web.control import openapi as control
from web.examples import documented
from web.form import Form
from web.messages import component
from web.operations import content, get, header, json, of_body, open_get, operation, problem, ref
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
WAIT_FOR_ALL: Final = WAIT | {
    "description": "Seconds to wait until the owners of all partitions decide by it."
}
ID: Final[dict[str, Any]] = {
    "name": "transaction_id",
    "in": "path",
    "required": True,
    "description": f"As its producer gave it: {ALLOWED_CHARACTERS}.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_TEXT_CHARACTERS},
}

_WITH_LABEL: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"label": ref("EffectiveLabel")},
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
    more = (*explained.TYPES, *labels.TYPES, *control.TYPES, *quality.TYPES, *watch.TYPES)
    described = components(schema, *ANSWERS, *more, *known_models.TYPES)
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
            "`read`; the other operations say which one they need.",
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"header": []}] if settings.keys else [],
        "paths": _scoped(_paths(schema), bool(settings.keys)),
        "components": {
            "schemas": described,
            "securitySchemes": schemes,
            "headers": {
                "X-Request-ID": header("As the request had it, or a new one; it is in the log."),
                "traceparent": header("W3C Trace Context, of the request's trace or a new one."),
            },
        },
    }


def _scoped(paths: dict[str, Any], has_keys: bool) -> dict[str, Any]:
    """Return the paths with the scope of each operation that does more than read."""
    for path, operations in paths.items():
        for method, each in operations.items():
            scope = needed_scope(method.upper(), path)
            if method.upper() in READING:
                continue
            each["description"] = f"Needs a key with the scope `{scope}`, where keys are set."
            if has_keys:
                each["security"] = [{"bearer": [scope]}, {"header": [scope]}]
    return paths


def _paths(schema: Schema) -> dict[str, Any]:
    examples = documented(schema)
    id_ = ID | {"example": examples.pending["transaction_id"]}
    status = partial(
        get,
        "Get the decision on a transaction",
        {
            "200": content(
                "The decision, with the label that counts if one is known.",
                "application/json",
                {"allOf": [ref("Decision"), _WITH_LABEL]},
                example=examples.decision,
            ),
            "202": json("Accepted, and not decided yet.", "Pending", examples.pending),
            "404": problem("No such transaction is known."),
            "422": problem("`wait_seconds` is no number from 0 to 30.", "InvalidBody"),
            "503": problem("Not known at present: a sink lags, or a part does not answer."),
        },
        tag="Transactions",
    )
    ready = {"200": json("Ready.", "Ready"), "503": problem("Not ready, and why.", "NotReady")}
    stream = {
        "200": content("Events of `Details` as JSON.", "text/event-stream", {"type": "string"}),
        "503": _no_counts(),
    }
    prometheus = {"200": content("Prometheus text.", "text/plain", {"type": "string"})}
    anything = {"200": content("The document.", "application/json", {"type": "object"})}
    page = {"200": content("HTML.", "text/html", {"type": "string"})}
    found = {"302": problem("To `/stats`.")}
    return {
        "/transactions": {"post": _post(schema)},
        "/transaction/{transaction_id}/status": status(parameters=[id_, WAIT]),
        "/transaction/status": status(parameters=[id_ | {"in": "query"}, WAIT]),
        **explained.paths(id_, schema),
        **labels.paths(id_),
        **control.paths(WAIT_FOR_ALL),
        "/stats": get("Count decisions of the whole cluster, exactly", _stats(), tag="Stats"),
        "/models": known_models.path(),
        "/quality": quality.path(),
        "/watch": watch.path(),
        "/stats/details": get(
            "Get all data that the page shows",
            {"200": json("The details.", "Details"), "503": _no_counts()},
            tag="Stats",
        ),
        "/stats/form": get(
            "Get the fields of a transaction, as the page asks for them and shows them",
            {"200": json("The form.", "Form")},
            tag="Stats",
        ),
        "/stats/stream": get("The same about every second", stream, tag="Stats"),
        "/healthz": open_get("Whether the worker is alive", {"200": json("It is.", "Health")}),
        "/readyz": open_get("Whether the worker is ready", ready),
        "/metrics": get("Metrics of this worker", prometheus),
        "/openapi.json": get("This description", anything),
        "/asyncapi.json": get("The topics described as AsyncAPI 3", anything),
        "/docs": get("This description as a page", page),
        "/": get("Go to the stats", found),
    }


def _post(schema: Schema) -> dict[str, Any]:
    one = ref(component(schema))
    outcome = {"anyOf": [ref("Decision"), ref("Pending"), ref("Conflict")]}
    message = documented(schema).message
    example = {"one": {"value": message}, "many": {"value": [message]}}
    several = {"type": "array", "items": one, "maxItems": MAX_ITEMS}
    answer = {"anyOf": [outcome, {"type": "array", "items": outcome}]}
    return operation(
        "Send a transaction, or an array of them",
        {
            "200": content(
                "The decisions, if they were waited for and all are there; in an array an item "
                "can be a conflict.",
                "application/json",
                answer,
            ),
            "202": content("Accepted: Kafka has them.", "application/json", answer),
            **of_body(),
            "409": problem("The id was used before, with another payload."),
            "422": problem("Nothing was accepted; each wrong field is named.", "InvalidBody"),
            "503": problem("The broker does not answer."),
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
    answer = json("The counts; a page for browsers.", "Stats")
    answer["content"]["text/html"] = {"schema": {"type": "string"}}
    return {"200": answer, "503": _no_counts()}


def _no_counts() -> dict[str, Any]:
    return problem("This worker has just started, or stops: it does not know all counts.")
