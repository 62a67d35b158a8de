"""What a schema file says: the fields of a transaction, the features, and the reasons in words.

The file is TOML; `models/schema/README.md` describes it, and `presets/` has examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct

Type = Literal["text", "number", "amount", "category", "flag", "time"]
"""`number` has bounds, `amount` a smallest unit as well; `category` has few values."""
Role = Literal[
    "id", "time", "sender", "receiver", "amount", "kind", "label", "weight", "upstream_flag"
]
"""What the program itself uses a field for; each role has at most one field."""
TimeFormat = Literal["iso8601", "epoch", "epoch_ms", "hour"]
"""ISO 8601 with an offset; seconds or milliseconds since 1970; hours since the data begin."""
FlagForm = Literal["boolean", "0/1"]

ID: Final = "transaction_id"
"""The name of the field with the role `id`, whatever its path in a message is."""


class Field(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A field of a transaction, under a name of its own; the name is its path unless one is given.

    A field that a message lacks makes the message invalid, unless the field has a `default`, or is
    `optional`: its value is then unknown, as is that of JSON's null.
    """

    type: Type
    role: Role | None = None
    path: str | None = None
    """Keys in the JSON, separated by dots; `[0]` after a key is the only item of an array."""
    columns: Sequence[str] = ()
    """Other names that the column may have in a file."""
    description: str | None = None
    optional: bool = False
    default: str | int | float | bool | None = None
    coerce: bool = False
    """Whether a number may be written as text, and a text as a number."""
    min: float | None = None
    max: float | None = None
    whole: bool = False
    """Whether a number must be whole."""
    unit: float | None = None
    """Of an amount: the smallest unit, .01 by default; nearer amounts are equal."""
    currency: str | None = None
    """Of an amount: the field that has its currency."""
    values: Sequence[str] | None = None
    """Of a category: all its values; any text is one without."""
    max_length: int | None = None
    """Of a text or an open category: characters, 128 by default."""
    format: TimeFormat | None = None
    form: FlagForm | None = None
    """Of a flag: how it is written, `boolean` by default."""


class Feature(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A column of the model's matrix: exactly one operation on one or two fields.

    Its value is missing if that of a field is, except for `missing` itself and `one_hot`.
    """

    number: str | None = None
    """The value itself."""
    log: str | None = None
    """log(1 + value), with the sign of the value."""
    ratio: Sequence[str] | None = None
    """The log of the first over the second, with 1 added to both."""
    difference: Sequence[str] | None = None
    equal: Sequence[str] | None = None
    """Whether two amounts differ by no more than half a unit."""
    exceeds: Sequence[str] | None = None
    """Whether the first is larger than the second by more than half a unit."""
    zero: str | None = None
    one_hot: str | None = None
    frequency: str | None = None
    """The share of the training rows with this value of a category or text."""
    rate: str | None = None
    """The share of frauds among the training rows with this value, drawn to that of all rows."""
    hour_of_day: str | None = None
    """0 to 24, with fractions; in UTC."""
    day_of_week: str | None = None
    """0 (Monday) to 6; in UTC. With hour numbers, the first day is 0."""
    missing: str | None = None
    value: str | None = None
    """With `one_hot`: the value."""
    when: Mapping[str, Sequence[str]] | None = None
    """With `equal` and `exceeds`: categories outside which the feature is 0."""
    positive: bool = False
    """With `equal`: whether amounts of zero are not equal to each other."""
    smoothing: float = 20.0
    """With `rate`: how many rows the share of all rows counts for."""


class Says(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A code and a sentence for a reason, where all of its conditions hold."""

    code: str
    text: str
    """A template: `{amount:,.2f}` is a field, `{amount/balance:.1%}` a ratio of two, and
    `{1-amount/balance:.1%}` what it leaves of 1."""
    against: str | None = None
    """The same where the reason speaks against fraud; `text` without."""
    when: str | None = None
    """A feature that has to be 1; no condition without."""


class Reason(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Features about one fact, which make one reason; the first sentence that holds is given."""

    features: Sequence[str]
    says: Sequence[Says]


class Definition(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole schema file."""

    name: str
    description: str | None = None
    fields: Mapping[str, Field]
    features: Mapping[str, Feature]
    profile: Mapping[str, str] = {}
    """What accounts did before, as `models.profiles.values` says it, by name."""
    reasons: Sequence[Reason] = ()
    upstream_flag: str | None = None
    """What the reason says if the field with the role `upstream_flag` is set."""

    def role(self, role: Role) -> str | None:
        """Return the name of the field with a role; None if there is none."""
        return next((name for name, each in self.fields.items() if each.role == role), None)

    def known(self) -> dict[str, Field]:
        """Return all that is known when a decision is made: fields, and values of profiles."""
        values = {name: self._value(text) for name, text in self.profile.items()}
        return {**self.fields, **values}

    def _value(self, declared: str) -> Field:
        """Return a value of profiles as a field, which is unknown for an account that is new."""
        amount = self.fields.get(self.role("amount") or "")
        signed = amount is not None and (amount.min or 0.0) < 0.0
        signed |= amount is not None and amount.type == "number" and amount.min is None
        of_amounts = declared.lstrip().startswith(("sum", "mean"))
        return Field(type="number", optional=True, min=None if signed and of_amounts else 0.0)

    def currency(self) -> str | None:
        """Return the name of the field with the currency of the amount; None if there is none."""
        amount = self.role("amount")
        return self.fields[amount].currency if amount else None


OPERATIONS: Final = (
    "number",
    "log",
    "ratio",
    "difference",
    "equal",
    "exceeds",
    "zero",
    "one_hot",
    "frequency",
    "rate",
    "hour_of_day",
    "day_of_week",
    "missing",
)


def operation(feature: Feature) -> tuple[str, list[str]]:
    """Return the operation of a feature and the fields it is on; `reading` has checked it."""
    given = {name: getattr(feature, name) for name in OPERATIONS}
    (name, operand), *_ = ((name, value) for name, value in given.items() if value is not None)
    return name, [operand] if isinstance(operand, str) else list(operand)
