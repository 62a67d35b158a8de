"""The paths of labels in the OpenAPI document, and an example of what they answer."""

from __future__ import annotations

from typing import Any, Final

from web import label_documents as documents
from web.operations import get, json, post, problem
from web.views import labels_url

TYPES: Final = (
    documents.NewLabel,
    documents.LabelAccepted,
    documents.EffectiveLabel,
    documents.Labels,
)
_TAG: Final = "Labels"
_SAID: Final[dict[str, Any]] = {"label": 1, "at": "2026-04-01T08:00:00Z", "by": "card-network"}
_OTHER: Final[dict[str, Any]] = {"label": 0, "at": "2026-03-05T09:30:00Z", "by": "ann"}


def paths(id_: dict[str, Any]) -> dict[str, Any]:
    """Return the paths; `id_` is the parameter of the transaction's id in the path."""
    in_query = {**id_, "in": "query"}
    return {
        "/transaction/{transaction_id}/label": {"post": _tell(id_)},
        "/transaction/label": {"post": _tell(in_query)},
        "/transaction/{transaction_id}/labels": _known(id_),
        "/transaction/labels": _known(in_query),
    }


def _tell(id_: dict[str, Any]) -> dict[str, Any]:
    transaction_id = id_["example"]
    accepted = {
        "transaction_id": transaction_id,
        "status": "ACCEPTED",
        "status_url": labels_url(transaction_id),
    }
    answers = {
        "202": json("Accepted: Kafka has it.", "LabelAccepted", accepted),
        "422": problem("Nothing was accepted; each wrong field is named.", "InvalidBody"),
        "503": problem("The broker does not answer, or this worker has not started yet."),
    }
    asked = {**_SAID, "source": "chargeback"}
    return post("Tell what became of a transaction", answers, "NewLabel", asked, id_, tag=_TAG)


def _known(id_: dict[str, Any]) -> dict[str, Any]:
    example = {
        **_SAID,
        "source": "chargeback",
        "conflicting": True,
        "transaction_id": id_["example"],
        "labels": {"chargeback": _SAID, "analyst": _OTHER},
    }
    return get(
        "Get what all sources have said of a transaction that was decided",
        {
            "200": json("The label that counts, and those of all sources.", "Labels", example),
            "404": problem("No label is known, or the transaction was not decided yet."),
            "503": problem("Not known at present, such as before this worker has started."),
        },
        tag=_TAG,
        parameters=[id_],
    )
