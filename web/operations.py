"""The parts of operations in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from web.components import REF

PROBLEM: Final = "application/problem+json"
_TRACE: Final = {
    name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-ID", "traceparent")
}


def get(
    summary: str, responses: Mapping[str, Any], *, tag: str = "Worker", **more: Any
) -> dict[str, Any]:
    """Return a path with a GET that needs a key."""
    return {"get": operation(summary, responses, tag=tag, **more)}


def open_get(summary: str, responses: Mapping[str, Any]) -> dict[str, Any]:
    """Return a path with a GET that is open to all."""
    return {"get": {"summary": summary, "tags": ["Worker"], "security": [], "responses": responses}}


def operation(
    summary: str, responses: Mapping[str, Any], *, tag: str, **more: Any
) -> dict[str, Any]:
    """Return an operation with its answers, and those that every one can have."""
    refusals = {
        "401": problem("A key is needed, or this one is wrong."),
        "403": problem("The key lacks the scope, or a page of another origin asks."),
        "406": problem("`Accept-Encoding` accepts neither gzip nor identity."),
        "421": problem("The `Host` is not a name of this server."),
        "429": problem("Too many requests; `Retry-After` tells when to try again."),
        "500": problem("An error on our side."),
    }
    return {
        "summary": summary,
        "tags": [tag],
        **more,
        "responses": {**responses, **refusals, **responses},
    }


def post(
    summary: str,
    answers: dict[str, Any],
    schema: str,
    example: Any,
    *parameters: dict[str, Any],
    tag: str,
) -> dict[str, Any]:
    """Return a POST of JSON, with the answers to bodies that cannot be read."""
    body = {"application/json": {"schema": ref(schema), "example": example}}
    return operation(
        summary,
        {**of_body(), **answers},
        tag=tag,
        parameters=[*parameters],
        requestBody={"required": True, "content": body},
    )


def of_body() -> dict[str, Any]:
    """Return the answers to a body that cannot be read."""
    return {
        "400": problem("The body is not what its headers say."),
        "408": problem("The body took too long to come."),
        "413": problem("The body is too large."),
        "415": problem(
            "The body is not declared as what is asked for, or is encoded neither as gzip nor as "
            "deflate."
        ),
    }


def ref(name: str) -> dict[str, str]:
    """Return a reference to a schema."""
    return {"$ref": REF.format(name=name)}


def content(description: str, media_type: str, schema: Any, **more: Any) -> dict[str, Any]:
    """Return an answer with a body."""
    of_type = {media_type: {"schema": schema, **more}}
    return {"description": description, "headers": _TRACE, "content": of_type}


def json(description: str, schema: str, example: Any = None) -> dict[str, Any]:
    """Return an answer that is JSON."""
    more = {} if example is None else {"example": example}
    return content(description, "application/json", ref(schema), **more)


def problem(description: str, schema: str = "ProblemDocument") -> dict[str, Any]:
    """Return an answer that is a problem."""
    return content(description, PROBLEM, ref(schema))


def header(description: str) -> dict[str, Any]:
    """Return a header of answers."""
    return {"description": description, "schema": {"type": "string"}}


def not_started() -> dict[str, Any]:
    """Return the answer before the start."""
    return problem("This worker has not started yet.")


def no_answer() -> dict[str, Any]:
    """Return the answer while Kafka gives none."""
    return problem("Kafka does not answer; what was asked for may happen yet.")


def in_path(name: str, schema: dict[str, Any], example: str) -> dict[str, Any]:
    """Return a parameter in the path."""
    return {"name": name, "in": "path", "required": True, "schema": schema, "example": example}
