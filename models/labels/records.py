"""Labels as they are told, and labelled decisions: a decision with all labels on it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Final, Generic, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from models.characters import ALLOWED_CHARACTERS
from models.records import MAX_TEXT_CHARACTERS, Decision, T
from models.schema.schema import Schema

Value = Literal[0, 1]
"""1 says that a transaction was fraud, 0 that it was not."""
Offset = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Id = Annotated[
    str, Meta(min_length=1, max_length=MAX_TEXT_CHARACTERS, description=ALLOWED_CHARACTERS)
]
By = Annotated[
    str, Meta(min_length=1, max_length=MAX_TEXT_CHARACTERS, description=ALLOWED_CHARACTERS)
]
At = Annotated[datetime, Meta(tz=True)]


class Source(str, Enum):
    """Who says what became of a transaction, from the strongest source to the weakest."""

    CONFIRMED = "confirmed"
    CHARGEBACK = "chargeback"
    ANALYST = "analyst"
    CUSTOMER = "customer"


class Label(Struct, frozen=True, kw_only=True, gc=False):
    """What one source says of one transaction; `models.labels.parsing` reads it."""

    transaction_id: Id
    label: Value
    source: Source
    at: At
    """When the source learned it; UTC."""
    by: By
    """Person or system that tells it."""


class Said(Struct, frozen=True, kw_only=True, gc=False):
    """The last label of a source on a transaction."""

    label: Value
    at: At
    by: str
    offset: Offset
    """Offset in the topic of labels."""


class Labelled(Struct, Generic[T], frozen=True, kw_only=True):
    """A decision together with the labels on it.

    Of several records of one id, the one with the largest `version` counts.
    """

    version: Offset
    """Offset, in the topic of labels, of the newest label that is included."""
    label: Value
    """The effective label: that of `source`."""
    source: Source
    """The strongest source that has spoken."""
    labels: dict[Source, Said]
    """The last label of each source that has spoken; there is one at least."""
    decision: Decision[T]

    @property
    def transaction_id(self) -> str:
        """The id of the transaction that was decided and labelled."""
        return self.decision.transaction_id


class _Encoded(Struct):
    version: Offset
    label: Value
    source: Source
    labels: dict[Source, Said]
    decision: Raw


encode: Final = msgspec.json.Encoder().encode
"""Return a `Label` or a `Labelled` as JSON, as its topic has it."""
_decode: Final = msgspec.json.Decoder(_Encoded).decode
_STRENGTH: Final = {source: place for place, source in enumerate(Source)}


def effective(labels: Mapping[Source, Said]) -> Source:
    """Return the source whose label counts: the strongest; raises `ValueError` if there is none."""
    return min(labels, key=_STRENGTH.__getitem__)


def conflicting(labels: Mapping[Source, Said]) -> bool:
    """Whether the sources disagree."""
    return len({said.label for said in labels.values()}) > 1


def labelled(decision: Decision, labels: Mapping[Source, Said]) -> Labelled:
    """Return a decision with the labels on it; raises `ValueError` if there are none."""
    source = effective(labels)
    return Labelled(
        version=max(said.offset for said in labels.values()),
        label=labels[source].label,
        source=source,
        labels={each: labels[each] for each in Source if each in labels},
        decision=decision,
    )


def parts(encoded: bytes) -> tuple[dict[Source, Said], bytes]:
    """Return the labels that the JSON of a labelled decision holds, and the JSON of its decision.

    Raises one of `models.parsing.UNREADABLE`, also if the effective label is another.
    """
    read = _decode(encoded)
    if not read.labels:
        raise msgspec.ValidationError("it has no labels")
    source = effective(read.labels)
    version = max(said.offset for said in read.labels.values())
    if (version, read.labels[source].label, source) != (read.version, read.label, read.source):
        raise msgspec.ValidationError("its version, label and source are not those of its labels")
    return read.labels, bytes(read.decision)


def decode(encoded: bytes, schema: Schema) -> Labelled[Any]:
    """Return the labelled decision that JSON holds; raises what `parts` raises."""
    labels, decision = parts(encoded)
    return labelled(schema.decode(decision), labels)
