"""The paths of policies and lists in the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from models.policies.backtest import Backtest
from web.control import documents, openapi_lists
from web.control.policies import DEFAULT_HISTORY, MAX_HISTORY
from web.operations import (
    get,
    in_path,
    json,
    no_answer,
    not_started,
    of_body,
    operation,
    post,
    problem,
    ref,
)

TYPES: Final = (
    documents.PolicyState,
    documents.PolicyChange,
    documents.PolicyEntry,
    documents.PolicyVersion,
    documents.History,
    documents.NewPolicy,
    documents.Approval,
    documents.CapEnd,
    documents.PolicyText,
    documents.Trial,
    documents.Checked,
    documents.InvalidPolicy,
    documents.Outdated,
    Backtest,
    *openapi_lists.TYPES,
)
_POLICY: Final = "Policy"
_TEXT: Final = "flag_at = 0.5\nblock_at = 0.8\n"
_ID: Final = "0123456789abcdef0123456789abcdef"


def paths(wait: dict[str, Any]) -> dict[str, Any]:
    """Return the paths; `wait` is the parameter by which callers wait for all workers."""
    return {
        "/policy": {"get": _read(), "put": _put(wait)},
        "/policy/versions/{version}": get(
            "Get a policy by its number or its id, whatever became of it",
            {
                "200": json("The policy; number 0 is the settings.", "PolicyVersion"),
                "404": problem("There is no such policy."),
                "503": not_started(),
            },
            tag=_POLICY,
            parameters=[in_path("version", {"type": "string"}, "0")],
        ),
        "/policy/history": get(
            "List what was proposed and what became of it, the newest first",
            {
                "200": json("The policies, without their texts.", "History"),
                "422": problem("`limit` is wrong.", "InvalidPolicy"),
                "503": not_started(),
            },
            tag=_POLICY,
            parameters=[_limit()],
        ),
        "/policy/check": {"post": _check()},
        "/policy/backtest": {"post": _backtest()},
        "/policy/approvals": {"post": _approve(wait)},
        "/policy/caps": {"post": _end_cap()},
        **openapi_lists.paths(),
    }


def _read() -> dict[str, Any]:
    answer = _state("What is in force; a page for browsers.", "PolicyState")
    answer["content"]["text/html"] = {"schema": {"type": "string"}}
    return operation(
        "Get the policy that is in force",
        {"200": answer, "503": not_started()},
        tag=_POLICY,
    )


def _put(wait: dict[str, Any]) -> dict[str, Any]:
    text = {"schema": {"type": "string"}, "example": _TEXT}
    example = {"text": _TEXT, "note": "as the settings have it", "parent": 0}
    return operation(
        "Put a policy in force in the place of its parent",
        {
            **of_body(),
            "200": _state("It is in force; whether all workers have told so.", "PolicyChange"),
            "202": json("Somebody else has to approve it.", "PolicyEntry"),
            "409": _outdated("Another policy took the place of the parent."),
            "422": problem("It is not valid; nothing was written.", "InvalidPolicy"),
            "428": problem("Neither `If-Match` nor `parent` says what it takes the place of."),
            "503": no_answer(),
        },
        tag=_POLICY,
        parameters=[wait, _if_match(), _note()],
        requestBody={
            "required": True,
            "content": {
                "application/json": {"schema": ref("NewPolicy"), "example": example},
                "application/toml": text,
                "text/plain": text,
            },
        },
    )


def _check() -> dict[str, Any]:
    return operation(
        "Check a policy by the schema and the model of this worker",
        {
            **of_body(),
            "200": json("Whether it is valid, and all that is wrong with it.", "Checked"),
            "422": problem("The body is not as described.", "InvalidPolicy"),
            "503": not_started(),
        },
        tag=_POLICY,
        requestBody={
            "required": True,
            "content": {
                "application/json": {"schema": ref("PolicyText"), "example": {"text": _TEXT}},
                "application/toml": {"schema": {"type": "string"}, "example": _TEXT},
            },
        },
    )


def _backtest() -> dict[str, Any]:
    answers = {
        "200": json("What it would have changed in the last decisions.", "Backtest"),
        "422": problem("The policy is not valid, or the body is wrong.", "InvalidPolicy"),
        "429": problem("A backtest runs on this worker, or too many requests came."),
        "503": problem("The log cannot be read, or it takes too long."),
    }
    return post(
        "Try a policy on the last decisions", answers, "Trial", {"text": _TEXT}, tag=_POLICY
    )


def _approve(wait: dict[str, Any]) -> dict[str, Any]:
    answers = {
        "200": _state("It is in force.", "PolicyChange"),
        "403": problem("The key lacks the scope, or has proposed this policy itself."),
        "404": problem("No such policy was proposed."),
        "409": _outdated("It waits for approval no more."),
        "422": problem("It does not fit any more, or the body is wrong.", "InvalidPolicy"),
        "503": no_answer(),
    }
    asked = {"id": _ID, "note": "agreed"}
    return post(
        "Approve the policy of somebody else", answers, "Approval", asked, wait, tag=_POLICY
    )


def _end_cap() -> dict[str, Any]:
    answers = {
        "200": _state("It has ended.", "PolicyChange"),
        "404": problem("No such cap has begun."),
        "422": problem("The body is not as described.", "InvalidPolicy"),
        "503": no_answer(),
    }
    return post("End a cap of the policy in force", answers, "CapEnd", {"rule": ""}, tag=_POLICY)


def _state(description: str, schema: str) -> dict[str, Any]:
    answer = json(description, schema)
    about = "The id of the policy, in quotation marks, for `If-Match`."
    tagged = {"ETag": {"description": about, "schema": {"type": "string"}}}
    return {**answer, "headers": {**answer["headers"], **tagged}}


def _outdated(description: str) -> dict[str, Any]:
    return problem(description, "Outdated")


def _if_match() -> dict[str, Any]:
    return {
        "name": "If-Match",
        "in": "header",
        "description": "The id of the parent in quotation marks, or `*` for whichever is in force.",
        "schema": {"type": "string", "pattern": r'^((W/)?"[^"]*"|\*)$'},
    }


def _note() -> dict[str, Any]:
    return {
        "name": "note",
        "in": "query",
        "description": "Why; for a body that is no JSON.",
        "schema": {"type": "string", "maxLength": 1_000},
    }


def _limit() -> dict[str, Any]:
    return {
        "name": "limit",
        "in": "query",
        "schema": {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_HISTORY,
            "default": DEFAULT_HISTORY,
        },
    }
