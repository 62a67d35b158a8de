"""What scoring costs on this machine: `python -m tests.benchmarks.scoring`.

One thread; the best of many repetitions, which is what the code costs when nothing disturbs it.
Trains the default model on the packaged transactions first. scikit-learn's `predict_proba` gets the
feature matrix ready-made; ours starts from records.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from datetime import datetime, timezone

import click
import numpy as np

from data import sample_path
from data.generator import generate
from data.plan import Plan
from models.deciding import decide
from models.features import FEATURE_NAMES, features
from models.policy import Policy
from models.records import Transaction
from models.scorer import Scorer
from models.training import train
from tests.unit.transactions import candidate

BATCH = 256


def microseconds(call: Callable[[], object], number: int) -> float:
    """Time of one call, the best of twenty rounds."""
    return min(timeit.repeat(call, number=number, repeat=20)) / number * 1e6


def main() -> None:
    """Measure and print."""
    trained = train(sample_path())
    scorer = Scorer("benchmark", trained.model.body.compiled(len(FEATURE_NAMES)))
    records = [
        Transaction(transaction_id=str(number), **row._asdict())
        for number, row in enumerate(generate(Plan(rows=20_000, seed=3)))
    ]
    batch, one = records[:BATCH], records[:1]
    fraud = [row for row, record in enumerate(records) if record.isFraud]
    matrix = features(batch).astype(np.float64)
    candidates = [candidate(record, offset) for offset, record in enumerate(batch)]
    now, policy = datetime.now(timezone.utc), Policy()
    predict = trained.pipeline.predict_proba
    lines = [
        ("features, batch of 256, a row", microseconds(lambda: features(batch), 50) / BATCH),
        (
            "records to scores, batch of 256, a row",
            microseconds(lambda: scorer.score(batch), 50) / BATCH,
        ),
        (
            "records to decisions, batch of 256, a row",
            microseconds(lambda: decide(candidates, scorer=scorer, policy=policy, now=now), 50)
            / BATCH,
        ),
        ("scikit-learn, batch of 256, a row", microseconds(lambda: predict(matrix), 10) / BATCH),
        ("records to scores, one row", microseconds(lambda: scorer.score(one), 500)),
        (
            "records to decisions, one row",
            microseconds(
                lambda: decide(candidates[:1], scorer=scorer, policy=policy, now=now), 500
            ),
        ),
        ("scikit-learn, one row", microseconds(lambda: predict(matrix[:1]), 20)),
        (
            f"reasons, {len(fraud)} rows at once, a row",
            microseconds(lambda: scorer.explain(records, fraud), 50) / len(fraud),
        ),
        ("reasons, one row", microseconds(lambda: scorer.explain(records, fraud[:1]), 200)),
    ]
    for name, value in lines:
        click.echo(f"{name:45} {value:8.2f} us")


if __name__ == "__main__":
    main()
