"""From raw messages to decisions with the project's own parser, scorer and policy.

Nothing is remembered: values of profiles are unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Final, NamedTuple

import msgspec

from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import Settings
from models.deciding import decide
from models.inputs import Input, Position, ValidInput
from models.policies.in_force import of_thresholds
from models.records import Decision, Transaction

encode: Final = msgspec.json.Encoder().encode


class Record(NamedTuple):
    """A message, whatever client it came from."""

    topic: str
    partition: int
    offset: int
    value: bytes


class Decider:
    """Scores and decides with the active model, a batch in one call."""

    def __init__(self, settings: Settings) -> None:
        self._schema = settings.transaction_schema
        self._scorer = ModelRegistry(settings.model_dir, self._schema).load_active()
        self._policy = of_thresholds(settings.policy, self._schema)

    def messages(self, records: Iterable[Record]) -> list[Decision]:
        """Decide on raw messages."""
        parse = self._schema.parser.parse
        return self.transactions([(record, parse(record.value)) for record in records])

    def transactions(self, pairs: Iterable[tuple[Record, Transaction]]) -> list[Decision]:
        """Decide on transactions and the messages they came in."""
        candidates = []
        for (topic, partition, offset, value), transaction in pairs:
            position = Position(topic, partition, offset)
            candidates.append(ValidInput(transaction, Input(None, value, position, position)))
        return decide(
            candidates,
            scorer=self._scorer,
            policy=self._policy,
            now=datetime.now(timezone.utc),
            schema=self._schema,
        )
