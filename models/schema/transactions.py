"""The type of a schema's transactions, and how one is made of a message.

Where every field lies under its own name, a message is decoded straight into its transaction. Else
it is decoded into nested structs of the same shape, whose fields are then collected.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta

from models.records import Transaction
from models.schema.coercion import coerced, loose_hint
from models.schema.definition import Definition
from models.schema.fields import default, hint
from models.schema.paths import Step, Tree, names

Collect = Callable[[Any], Transaction]
"""Makes a transaction of a decoded message; raises `msgspec.ValidationError`."""


def transaction_type(definition: Definition) -> type[Transaction]:
    """Return the struct that holds the fields of a transaction, by their names."""
    made: Any = msgspec.defstruct(
        "Transaction",
        [(name, hint(field), *default(field)) for name, field in definition.fields.items()],
        bases=(Transaction,),
        namespace={"__doc__": definition.description or f"A transaction of {definition.name}."},
        module=__name__,
        frozen=True,
        kw_only=True,
        gc=False,
    )
    return cast("type[Transaction]", made)


def is_flat(definition: Definition) -> bool:
    """Whether a message is decoded straight into its transaction."""
    return not any(
        field.coerce or field.path not in (None, name) for name, field in definition.fields.items()
    )


def nested(
    definition: Definition, tree: Tree, transaction: type[Transaction]
) -> tuple[Any, Collect]:
    """Return the type of a whole message, and a function from it to a transaction."""
    collector = _Collector(definition)
    message = collector.struct(tree, "r")
    given = ", ".join(f"{name}={each}" for name, each in collector.arguments.items())
    known = {"Transaction": transaction, **collector.names}
    exec(compile(f"def collect(r): return Transaction({given})", "<fields>", "exec"), known)  # noqa: S102
    return message, known["collect"]


def message(tree: Tree, transaction: Transaction) -> dict[str, Any]:
    """Return the fields of a transaction where they lie in a message; unknown ones are left out."""
    found: dict[str, Any] = {}
    for step, below in tree.items():
        if isinstance(below, str):
            value = getattr(transaction, below)
        else:
            value = message(below, transaction) or None
        if value is not None:
            found[step.key] = [value] if step.only_item else value
    return found


class _Collector:
    """Makes structs of the shape of a message, and the expressions that take fields out of them."""

    def __init__(self, definition: Definition) -> None:
        self._fields = definition.fields
        self.arguments: dict[str, str] = {}
        """By field, the expression of its value, of the message `r`."""
        self.names: dict[str, Any] = {}
        """What the expressions name beside that."""

    def struct(self, tree: Tree, here: str) -> Any:
        """Return the struct of an object; `here` is the expression of where it lies."""
        found, renamed = [], {}
        for number, (step, below) in enumerate(tree.items()):
            name = f"f{number}"
            renamed[name] = step.key
            found.append(self._attribute(name, step, below, f"{here}.{name}"))
        return msgspec.defstruct("Message", found, rename=renamed, kw_only=True, gc=False)

    def _attribute(self, name: str, step: Step, below: Tree | str, here: str) -> tuple[Any, ...]:
        inner = f"{here}[0]" if step.only_item else here
        if isinstance(below, str):
            kind = self._value(below, inner)
            if not step.only_item:
                return (name, kind, *default(self._fields[below]))
        else:
            kind = self.struct(below, inner)
        if step.only_item:
            kind = Annotated[list[kind], Meta(min_length=1, max_length=1)]  # type: ignore[valid-type]
        defaults = {each: default(self._fields[each]) for each in names(below)}
        if not all(defaults.values()):
            return (name, kind)
        for each, (value,) in defaults.items():
            missing = self._named("D", value)
            self.arguments[each] = f"({missing} if {here} is None else {self.arguments[each]})"
        return (name, kind | None, None)

    def _value(self, name: str, here: str) -> Any:
        field = self._fields[name]
        if not field.coerce:
            self.arguments[name] = here
            return hint(field)
        self.arguments[name] = f"{self._named('C', coerced(field))}({here})"
        return loose_hint(field)

    def _named(self, letter: str, value: Any) -> str:
        name = f"{letter}{len(self.names)}"
        self.names[name] = value
        return name
