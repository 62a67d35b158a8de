"""Whether what a policy file says makes sense: for its schema, and taken together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from models.policies.definition import PolicyFile
from models.policies.faults import Wrong
from models.policies.forms import Form
from models.policies.places import Place
from models.policies.values import A_TIME
from models.rules.errors import RulesError
from models.rules.ruleset import check
from models.rules.scope import Scope
from models.schema import templates
from models.schema.definition import Definition
from models.schema.schema import Schema

_DEFAULTS: Final = PolicyFile()


def thresholds(top: Form) -> Iterator[Wrong]:
    """Yield what is wrong with the order of the thresholds."""
    flag_at, block_at = _threshold(top, "flag_at"), _threshold(top, "block_at")
    if flag_at is not None and block_at is not None and flag_at > block_at:
        given = next(each for each in ("flag_at", "block_at") if each in top.given)
        told = (
            f"{name} {value:g}{' (by default)' * top.lacks(name)}"
            for name, value in (("flag_at", flag_at), ("block_at", block_at))
        )
        yield Wrong((given,), " is above ".join(told))


def _threshold(top: Form, name: str) -> float | None:
    default = getattr(_DEFAULTS, name) if top.lacks(name) else None
    return top.fits.get(name, default)


def shadow(top: Form) -> Iterator[Wrong]:
    """Yield what is wrong with the models that score beside the one that decides."""
    versions = top.fits.get("shadow", ())
    for number, each in enumerate(versions):
        if each in versions[:number]:
            yield Wrong(("shadow", number), f"shadow names {each} twice")
        elif each == top.fits.get("model"):
            said = f"shadow names {each}, which is the model that decides"
            yield Wrong(("shadow", number), said)


def canary(top: Form, definition: Definition) -> Iterator[Wrong]:
    """Yield what is wrong with the share of senders for whom a model in shadow decides."""
    if not top.fits.get("canary"):
        return
    # With several, whoever takes the first one out would let another one decide.
    if "shadow" not in top.meant and len(top.fits.get("shadow", ())) != 1:
        said = (
            "canary needs one model in shadow, and no other: it decides for this share of senders"
        )
        yield Wrong(("canary",), said)
    if definition.role("sender") is None:
        name = definition.name
        said = f"canary is a share of senders, and schema {name} has no field with that role"
        yield Wrong(("canary",), said)


def rules(forms: Sequence[Form], schema: Schema) -> Iterator[Wrong]:
    """Yield what is wrong with rules."""
    first: dict[str, Form] = {}
    for each in forms:
        id_ = each.fits.get("id")
        if id_ is not None and first.setdefault(id_, each) is not each:
            number = int(first[id_].path[1]) + 1
            yield Wrong((*each.path, "id"), f"rule number {number} has the same id")
        yield from _said(each, schema.definition)
        if each.fits.get("then") in ("flag", "approve") and "max_share" in each.given:
            yield Wrong((*each.path, "max_share"), "max_share is for what blocks")
    yield from _conditions([each for each in forms if "when" in each.fits], schema)


def lists(forms: Mapping[str, Form], definition: Definition) -> Iterator[Wrong]:
    """Yield what is wrong with lists."""
    fields = Scope(definition).fields
    texts = [name for name, each in fields.items() if each.type in ("text", "category")]
    for each in forms.values():
        yield from _said(each, definition)
        name = each.fits.get("field")
        if name is not None and name not in texts:
            said = f"field {name!r:.80} is no text of the schema; there are {', '.join(texts)}"
            yield Wrong((*each.path, "field"), said)


def _said(form: Form, definition: Definition) -> Iterator[Wrong]:
    if (reason := form.fits.get("reason")) is not None:
        for each in templates.problems(reason, definition):
            yield Wrong((*form.path, "reason"), f"reason: {each}")
    then = form.fits.get("then")
    if then == "approve":
        yield from _bounds(form, definition)
    elif then is not None and "up_to" in form.given:
        yield Wrong((*form.path, "up_to"), "up_to is for what approves")


def _bounds(form: Form, definition: Definition) -> Iterator[Wrong]:
    """What approves is a hole for as long as it is there: it ends by itself, and lets little by."""
    if form.lacks("expires_at"):
        yield Wrong(form.path, f"what approves needs expires_at, {A_TIME}")
    if form.lacks("up_to"):
        yield Wrong(form.path, "what approves needs up_to, the largest amount that it lets by")
    elif definition.role("amount") is None:
        said = f"up_to needs an amount, and schema {definition.name} has no field with that role"
        yield Wrong((*form.path, "up_to"), said)


def _conditions(forms: Sequence[Form], schema: Schema) -> Iterator[Wrong]:
    try:
        check([each.fits["when"] for each in forms], schema)
    except RulesError as exc:
        if not exc.errors:
            yield Wrong(("rules",), f"rules: {exc}")
        for number, error in exc.errors.items():
            path = (*forms[number].path, "when")
            yield Wrong(path, error.problem, Place(error.line, error.column))
