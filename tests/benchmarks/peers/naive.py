"""The first loop one writes: a message, a DataFrame, scikit-learn, each sink in turn."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import datetime, timezone

import joblib
import pandas as pd
from aiokafka import AIOKafkaConsumer

from fraudapp.settings import load
from models.records import Decision
from models.schema.schema import PAYSIM
from tests.benchmarks.peers.bulk import Bulk
from tests.benchmarks.peers.single import Single


async def main() -> None:
    """Run until killed."""
    settings = load()
    model = joblib.load(os.environ["BENCH_PIPELINE"])
    single = Single(Bulk(settings), settings)
    await single.open()
    async with AIOKafkaConsumer(
        settings.transactions_topic,
        bootstrap_servers=settings.bootstrap_servers,
        group_id=settings.app_id,
        auto_offset_reset="earliest",
    ) as consumer:
        async for message in consumer:
            fields = json.loads(message.value)
            frame = pd.DataFrame([fields])
            matrix = PAYSIM.features.from_columns({name: frame[name] for name in frame})
            score = float(model.predict_proba(matrix)[0, 1])
            decision = Decision(
                transaction_id=fields["transaction_id"],
                decision=settings.policy.decide(
                    score, flagged_upstream=fields["isFlaggedFraud"] == 1
                ),
                score=score,
                reasons=[],
                model_version="scikit-learn",
                policy_version=settings.policy.version,
                decided_at=datetime.now(timezone.utc),
                topic=message.topic,
                partition=message.partition,
                offset=message.offset,
                transaction=PAYSIM.parser.from_mapping(fields),
            )
            await single.save(decision)


if __name__ == "__main__":
    asyncio.run(main())
