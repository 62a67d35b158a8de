"""The paths of explanations in the OpenAPI document, and an example of what they answer."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Any, Final

import msgspec
import numpy as np

from models.explanation import Explanation, explanation
from models.policy import Policy
from models.records import Decision
from models.schema.features import Matrix
from models.schema.schema import Schema
from models.scorer import Floats, Scorer
from web.examples import Documented, documented
from web.operations import get, json, problem

TYPES: Final = (Explanation,)


def paths(id_: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """Return the paths; `id_` is the parameter of the transaction's id in the path."""
    return {
        "/transaction/{transaction_id}/explain": _explain(id_, schema),
        "/transaction/explain": _explain({**id_, "in": "query"}, schema),
    }


def _explain(id_: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    examples = documented(schema)
    answers = {
        "200": json(
            "The base, and what raises and lowers the risk: together the log-odds of the score.",
            "Explanation",
            _example(schema, examples),
        ),
        "202": json("Accepted, and not decided yet.", "Pending", examples.pending),
        "404": problem("No such transaction is known."),
        "409": problem("The model or the schema that has decided it is not here; what to do."),
        "503": problem("Not known at present: a sink lags, or a part does not answer."),
    }
    return get(
        "Explain the decision on a transaction", answers, tag="Transactions", parameters=[id_]
    )


def _example(schema: Schema, examples: Documented) -> Any:
    decision: Decision = msgspec.convert(examples.decision, schema.decision)
    log_odds = log(decision.score / (1.0 - decision.score))
    scorer = Scorer(decision.model_version, _MadeUp(schema, log_odds), schema)
    policy = Policy.of(decision.policy_version)
    return msgspec.to_builtins(explanation(decision, scorer, schema, policy))


class _MadeUp:
    """A model by which every transaction has the same log-odds; its last reason speaks against."""

    def __init__(self, schema: Schema, log_odds: float) -> None:
        names = schema.features.names
        self._contributions = np.zeros(len(names))
        for place, group in enumerate(schema.definition.reasons, 1):
            amount = -0.5 if place == len(schema.definition.reasons) else 8.0 / 2**place
            self._contributions[names.index(group.features[0])] = amount
        self._log_odds = log_odds
        self.expected = log_odds - float(self._contributions.sum())

    def log_odds(self, matrix: Matrix) -> Floats:
        return np.full(len(matrix), self._log_odds)

    def contributions(self, matrix: Matrix) -> Floats:
        return np.tile(self._contributions, (len(matrix), 1))
