"""The JSON documents of labels; the OpenAPI document is made from them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from models.labels.records import At, By, Labelled, Source, Value, conflicting


class NewLabel(Struct, frozen=True, kw_only=True):
    """What a source says of a transaction."""

    label: Value | bool
    """1, or true, if it was fraud."""
    source: Source
    """The strongest that has spoken counts: confirmed, chargeback, analyst, customer."""
    at: At | UnsetType = UNSET
    """When the source learned it; now, if it is left out."""
    by: By | UnsetType = UNSET
    """Who tells it; the name of the key, if it is left out."""


class LabelAccepted(Struct, frozen=True):
    """A label that was accepted, and where it will be seen once the transaction is decided."""

    transaction_id: str
    status: Literal["ACCEPTED"]
    status_url: str


class SourceLabel(Struct, frozen=True, kw_only=True):
    """The last label of one source."""

    label: Value
    at: datetime
    """When the source learned it."""
    by: str


class EffectiveLabel(SourceLabel, frozen=True, kw_only=True):
    """The label that counts: that of the strongest source."""

    source: Source
    conflicting: bool
    """Whether the sources disagree."""


class Labels(EffectiveLabel, frozen=True, kw_only=True):
    """All that was said of a transaction."""

    transaction_id: str
    labels: dict[Source, SourceLabel]
    """By source."""


def effective(found: Labelled[Any]) -> EffectiveLabel:
    """Return the label that counts."""
    said = found.labels[found.source]
    return EffectiveLabel(
        label=found.label,
        at=said.at,
        by=said.by,
        source=found.source,
        conflicting=conflicting(found.labels),
    )


def labels(found: Labelled[Any]) -> Labels:
    """Return all labels."""
    said = found.labels[found.source]
    return Labels(
        transaction_id=found.transaction_id,
        label=found.label,
        at=said.at,
        by=said.by,
        source=found.source,
        conflicting=conflicting(found.labels),
        labels={
            source: SourceLabel(label=each.label, at=each.at, by=each.by)
            for source, each in found.labels.items()
        },
    )
