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
from models.schema.coercion import coerced_quickly, loose_hint, uncoerced
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


def facts_type(definition: Definition) -> Any:
    """Return the struct of a transaction's fields and its values of profiles, by position."""
    return msgspec.defstruct(
        "Facts", [(name, Any) for name in definition.known()], module=__name__, gc=False
    )


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
    message = collector.struct(tree, "r", "    ")
    given = ", ".join(f"{name}={local}" for name, local in collector.locals.items())
    body = "\n".join([*collector.lines, f"    return Transaction({given})"])
    known = {"Transaction": transaction, **collector.names}
    exec(compile(f"def collect(r):\n{body}", "<fields>", "exec"), known)  # noqa: S102
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
    """Makes structs of the shape of a message, and the code that takes fields out of them.

    The code looks into each object once: a deep message would cost twice as much otherwise.
    """

    def __init__(self, definition: Definition) -> None:
        self._fields = definition.fields
        self.lines: list[str] = []
        self.locals: dict[str, str] = {}
        """By field, the local variable that has its value."""
        self.names: dict[str, Any] = {}
        """What the code names beside its local variables."""

    def struct(self, tree: Tree, here: str, indent: str) -> Any:
        """Return the struct of an object, which is in the local variable `here`."""
        found, renamed = [], {}
        for number, (step, below) in enumerate(tree.items()):
            name = f"f{number}"
            renamed[name] = step.key
            found.append(self._attribute(name, step, below, f"{here}.{name}", indent))
        return msgspec.defstruct("Message", found, rename=renamed, kw_only=True, gc=False)

    def _attribute(
        self, name: str, step: Step, below: Tree | str, here: str, indent: str
    ) -> tuple[Any, ...]:
        if isinstance(below, str) and not step.only_item:
            kind = self._value(below, here, indent)
            return (name, kind, *default(self._fields[below]))
        fields = names(below) if not isinstance(below, str) else [below]
        may_lack = all(default(self._fields[each]) for each in fields)
        local = f"o{len(self.lines)}"
        self.lines.append(f"{indent}{local} = {here}")
        inner = f"{indent}    " if may_lack else indent
        if may_lack:
            self.lines.append(f"{indent}if {local} is not None:")
        if step.only_item:
            self.lines.append(f"{inner}{local} = {local}[0]")
        if isinstance(below, str):
            kind = self._value(below, local, inner)
        else:
            kind = self.struct(below, local, inner)
        if step.only_item:
            kind = Annotated[list[kind], Meta(min_length=1, max_length=1)]  # type: ignore[valid-type]
        if not may_lack:
            return (name, kind)
        self.lines.append(f"{indent}else:")
        for each in fields:
            (value,) = default(self._fields[each])
            self.lines.append(f"{inner}{self._local(each)} = {self._named('D', value)}")
        return (name, kind | None, None)

    def _value(self, name: str, here: str, indent: str) -> Any:
        field, local = self._fields[name], self._local(name)
        self.lines.append(f"{indent}{local} = {here}")
        if not field.coerce:
            return hint(field)
        self.lines.append(f"{indent}if not ({uncoerced(field, local)}):")
        self.lines.append(
            f"{indent}    {local} = {self._named('C', coerced_quickly(field))}({local})"
        )
        return loose_hint(field)

    def _local(self, name: str) -> str:
        return self.locals.setdefault(name, f"v{len(self.locals)}")

    def _named(self, letter: str, value: Any) -> str:
        name = f"{letter}{len(self.names)}"
        self.names[name] = value
        return name
