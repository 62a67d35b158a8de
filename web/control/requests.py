"""What requests about policies and lists ask for: their bodies, parents, and how long they wait."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

import msgspec
from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError
from msgspec import Struct

from fraudapp.submit import SUBMIT_TIMEOUT
from models.control.records import InvalidRecord
from models.parsing import UNREADABLE
from web import bodies
from web.control.documents import NewPolicy
from web.problems import RETRY_AFTER_SECONDS, Problem

JSON: Final = "application/json"
TOML: Final = "application/toml"
TEXT: Final = "text/plain"
_TYPES: Final = {JSON: bodies.JSON, TOML: re.compile(TOML), TEXT: re.compile(TEXT)}
_AT: Final = re.compile(r" - at `\$\.?(.*)`$", re.DOTALL)
_TAG: Final = re.compile(r'(?:W/)?"([^"]*)"|\*')

T = TypeVar("T")
S = TypeVar("S", bound=Struct)


async def of_json(request: Any, kind: type[S]) -> S:
    """Return the body as a struct; raises `Problem` 415, 422, or those of reading it."""
    bodies.demand_json(request)
    return decoded(await bodies.read(request), kind)


async def policy(request: Any, *types: str) -> NewPolicy:
    """Return the policy in the body: JSON, or the file itself with its note in the query.

    `types` are the media types that are taken. Raises `Problem`.
    """
    given = bodies.demand(request, {name: _TYPES[name] for name in types})
    body = await bodies.read(request)
    if given == JSON:
        return decoded(body, NewPolicy)
    try:
        text, note = body.decode(), request.query.get("note", "")
        return msgspec.convert({"text": text, "note": note}, NewPolicy)
    except UnicodeDecodeError as exc:
        raise invalid("text", f"the policy is not UTF-8: {exc}") from exc
    except msgspec.ValidationError as exc:
        raise _unfit(exc) from exc


def decoded(body: bytes, kind: type[S]) -> S:
    """Return the struct that JSON holds; raises `Problem` 422."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as exc:
        raise _unfit(exc) from exc
    except UNREADABLE as exc:
        raise invalid("", f"the body is not JSON: {exc}") from exc


def parent_tag(request: Any) -> str | None:
    """Return the id in `If-Match`, or `*`; None without the header. Raises `Problem` 422."""
    given = ",".join(request.headers.getall("If-Match", [])).strip()
    if not given:
        return None
    match = _TAG.fullmatch(given)
    if match is None:
        raise invalid(
            "If-Match", f'must be one id in quotation marks, such as "", or *: {given!r:.80}'
        )
    return given if given == "*" else match[1]


def invalid(field: str, problem: str) -> Problem:
    """Return the problem of a request with one error."""
    return Problem(
        422, f"nothing was done: {problem}", errors=[{"field": field, "problem": problem}]
    )


def field_and_problem(exc: msgspec.ValidationError) -> tuple[str, str]:
    """Return where a body does not fit its type, and why."""
    found, text = _AT.search(str(exc)), _AT.sub("", str(exc))
    return found[1] if found else "", f"{text[0].lower()}{text[1:]}"


async def within_time(writing: Awaitable[T]) -> T:
    """Wait until Kafka has what was written, and this worker has read it back.

    Raises `Problem` 503 after `SUBMIT_TIMEOUT`, 413 if the topic takes nothing as large, and 422
    for what is no record of it.
    """
    try:
        return await asyncio.wait_for(writing, SUBMIT_TIMEOUT)
    except asyncio.TimeoutError as exc:
        raise Problem(
            503,
            f"Kafka has not answered within {SUBMIT_TIMEOUT:g} s: what you asked for may happen "
            "yet; look at what is in force before you ask again",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        ) from exc
    except (MessageSizeTooLargeError, RecordListTooLargeError) as exc:
        raise Problem(413, "it is too large for a record of the control topic") from exc
    except InvalidRecord as exc:
        raise invalid("", str(exc)) from exc


def _unfit(exc: msgspec.ValidationError) -> Problem:
    return invalid(*field_and_problem(exc))
