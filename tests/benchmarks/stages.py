"""What each stage of a decision costs, one thread, one batch after the other.

    python -m tests.benchmarks.stages

Without the sinks it needs no server. The best of many repetitions, which is what the code costs
when nothing disturbs it; of the sinks the median, with the waiting. scikit-learn's `predict_proba`
gets the feature matrix ready-made; ours starts from records.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

import click
import numpy as np
from msgspec.structs import replace

from data import sample_path
from fraudapp.decisions.batch import Batch, encode
from fraudapp.decisions.index import DecisionIndex
from fraudapp.decisions.log_records import LogRecord
from fraudapp.settings import load
from fraudapp.sinks.all import Sinks
from models.challenger import Challenger
from models.deciding import decide
from models.inputs import Input, Position, ValidInput
from models.key_hash import key_partitions
from models.policies.in_force import of_thresholds
from models.policy import Policy
from models.records import Decision
from models.schema.schema import PAYSIM
from models.scorer import Scorer
from models.training.train import TrainedModel, train
from tests.benchmarks.backlog import paysim
from tests.benchmarks.stack import Namespace
from tests.benchmarks.timing import BATCH_ROWS, microseconds

SAVED_BATCHES: Final = 20  # batches that are saved to each sink

Costs = dict[str, float]


def computing(trained: TrainedModel) -> Costs:
    """Microseconds an event of each computing stage, in batches of `BATCH_ROWS` unless said."""
    scorer, policy = _scorer(trained), of_thresholds(Policy(), PAYSIM)
    raws = [value for _, value in paysim(20_000)]
    records = [PAYSIM.parser.parse(raw) for raw in raws]
    candidates = _candidates(raws[:BATCH_ROWS])
    batch, one = records[:BATCH_ROWS], records[:1]
    ids = [record.transaction_id for record in batch]
    matrix = PAYSIM.features.matrix(batch).astype(np.float64)
    now = datetime.now(timezone.utc)
    decisions = decide(candidates, scorer=scorer, policy=policy, now=now)
    predict = trained.pipeline.predict_proba
    stopped = [row for row, record in enumerate(records) if record.isFraud]

    def deciding(count: int) -> Callable[[], object]:
        return lambda: decide(candidates[:count], scorer=scorer, policy=policy, now=now)

    with_shadow = policy._replace(challengers=[Challenger(_scorer(trained, "challenger"))])
    said = decide(candidates, scorer=scorer, policy=with_shadow, now=now)

    def shadowing() -> object:
        return decide(candidates, scorer=scorer, policy=with_shadow, now=now)

    with tempfile.TemporaryDirectory() as folder:
        looking, taking = _index(Path(folder) / "ledger", decisions)
    return {
        "parse": microseconds(lambda: [PAYSIM.parser.parse(raw) for raw in raws[:BATCH_ROWS]], 20)
        / BATCH_ROWS,
        "key partition": microseconds(lambda: key_partitions(ids, 4), 20) / BATCH_ROWS,
        "index: find new ids": looking,
        "features": microseconds(lambda: PAYSIM.features.matrix(batch), 20) / BATCH_ROWS,
        "features and score": microseconds(lambda: scorer.score(batch), 20) / BATCH_ROWS,
        "features, score, decision": microseconds(deciding(BATCH_ROWS), 20) / BATCH_ROWS,
        "the same, with a model in shadow": microseconds(shadowing, 20) / BATCH_ROWS,
        "encode": microseconds(lambda: [encode(each) for each in decisions], 20) / BATCH_ROWS,
        "encode, with a model in shadow": microseconds(lambda: [encode(each) for each in said], 20)
        / BATCH_ROWS,
        "index: take decisions": taking,
        "reasons, each of many": microseconds(lambda: scorer.explain(records, stopped), 20)
        / len(stopped),
        "reasons, one row": microseconds(lambda: scorer.explain(records, stopped[:1]), 100),
        "features and score, one row": microseconds(lambda: scorer.score(one), 200),
        "features, score, decision, one row": microseconds(deciding(1), 200),
        "scikit-learn": microseconds(lambda: predict(matrix), 5) / BATCH_ROWS,
        "scikit-learn, one row": microseconds(lambda: predict(matrix[:1]), 10),
    }


def storing(own: Namespace, trained: TrainedModel) -> Costs:
    """Microseconds an event of each sink's `save`, with the time spent waiting for it."""
    return asyncio.run(_storing(own, trained))


async def _storing(own: Namespace, trained: TrainedModel) -> Costs:
    sinks = Sinks(load(own.with_data_folder()))
    scorer, now = _scorer(trained), datetime.now(timezone.utc)
    raws = [value for _, value in paysim(BATCH_ROWS * SAVED_BATCHES)]
    decisions = decide(
        _candidates(raws), scorer=scorer, policy=of_thresholds(Policy(), PAYSIM), now=now
    )
    costs: Costs = {}
    for sink in sinks.each:
        await sink.open()
        spent = []
        for start in range(0, len(decisions), BATCH_ROWS):
            batch = Batch(decisions[start : start + BATCH_ROWS])
            begin = time.perf_counter()
            await sink.save(batch)
            spent.append(time.perf_counter() - begin)
        costs[f"save to {sink.name}"] = statistics.median(spent) / BATCH_ROWS * 1e6
        await sink.close()
    return costs


def _scorer(trained: TrainedModel, version: str = "benchmark") -> Scorer:
    return Scorer(version, trained.model.body.compiled(len(PAYSIM.features.names)))


def _candidates(raws: list[bytes]) -> list[ValidInput]:
    positions = (Position("transactions", 0, offset) for offset in range(len(raws)))
    return [
        ValidInput(PAYSIM.parser.parse(raw), Input(None, raw, where, where))
        for raw, where in zip(raws, positions, strict=True)
    ]


def _index(folder: Path, decisions: list[Decision]) -> tuple[float, float]:
    """Cost of looking for ids that are new, and of taking decisions, with 100,000 in the index."""
    index = DecisionIndex(folder)
    lines = [encode(each) for each in decisions]
    ids = [each.transaction_id for each in decisions]

    def renamed() -> Iterator[LogRecord]:
        number = index.next_offset
        for decision, line in zip(decisions, lines, strict=True):
            name = f"{decision.transaction_id}-{number}"
            yield LogRecord(number, replace(decision, transaction_id=name), line)
            number += 1

    spent = []
    for _ in range(100_000 // BATCH_ROWS):
        records = list(renamed())
        begin = time.perf_counter()
        index.apply(records, index.next_offset + len(records))
        spent.append(time.perf_counter() - begin)
    looking = microseconds(lambda: index.find(ids), 20) / BATCH_ROWS
    index.close()
    return looking, statistics.median(spent) / BATCH_ROWS * 1e6


def main() -> None:
    """Measure what needs no server, and print it."""
    for name, value in computing(train(sample_path())).items():
        click.echo(f"{name:40} {value:8.2f} us")


if __name__ == "__main__":
    main()
