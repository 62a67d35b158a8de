"""Our learner against those of other libraries: how good, how quick, and how large in training.

    pip install '.[learners]' && python -m tests.benchmarks.learners [--worlds 3] [--only cards]

Each world of `paysim` is a draw of the generator to train on, and another to judge on; each of
`cards` has 28 days to train on and 7 to judge on, after a gap of 7, with what was remembered of
customers and terminals, and labels 7 days late. All learners get the same matrices, one thread,
and a process of their own. Ours scores as it serves, the others by `predict_proba`; no score is
calibrated.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any, Final, NamedTuple

import click
import numpy as np
import psutil
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.schema.features import Matrix
from models.scorer import probability
from models.training.calibration import Calibration
from models.training.fitting import fitted
from models.training.metrics import average_precision
from tests.benchmarks.learners.others import OTHERS
from tests.benchmarks.learners.worlds import WORLDS, World

OURS: Final = "ours"
BATCH: Final = 256
ROUNDS: Final = 30
MEBIBYTE: Final = 1024 * 1024
Scoring = Callable[[Matrix], Any]


class Found(NamedTuple):
    """One learner in one world."""

    precision: float
    """Average precision."""
    expected: float
    """Sum of the scores over the number of frauds: 1 where scores are probabilities."""
    one: float
    """Microseconds for a single row, the best of `ROUNDS`."""
    batch: float
    """Microseconds a row, in batches of `BATCH`."""
    seconds: float
    """Of a core, to train."""
    mebibytes: float
    """By which training raises the memory of its process at most."""


def measured(name: str, world: World) -> Found:
    """Train one learner and judge it; the process must have trained nothing before."""
    before, begin = psutil.Process().memory_info().rss, time.process_time()
    score = _ours(world) if name == OURS else _other(name, world)
    seconds = time.process_time() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    test, rows = world.test, np.ascontiguousarray(world.test.matrix)
    scores = np.asarray(score(rows), np.float64)
    return Found(
        average_precision(test.fraud, scores, test.weight),
        float((test.weight * scores).sum() / test.weight[test.fraud].sum()),
        _microseconds(score, rows[:1]),
        _microseconds(score, rows[:BATCH]) / BATCH,
        seconds,
        peak / MEBIBYTE,
    )


def _ours(world: World) -> Scoring:
    found = fitted("gradient_boosting", 7, world.train, world.schema)
    model = found.exported(Calibration()).compiled(world.train.matrix.shape[1])
    return lambda rows: probability(model.log_odds(rows))


def _other(name: str, world: World) -> Scoring:
    model, train = OTHERS[name](7), world.train
    weight = train.weight / train.weight.mean()
    model.fit(train.matrix, train.fraud.astype(int), sample_weight=weight)
    return lambda rows: model.predict_proba(rows)[:, 1]


def _microseconds(score: Scoring, rows: Matrix) -> float:
    taken = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        score(rows)
        taken.append(time.perf_counter() - begin)
    return min(taken) * 1e6


def _apart(name: str, world: World) -> Found:
    """Measure in a forked process, which shares the rows and ends with its memory."""
    context = multiprocessing.get_context("fork")
    there, here = context.Pipe()

    def work(end: Connection) -> None:
        with threadpool_limits(1):
            end.send(measured(name, world))

    process = context.Process(target=work, args=(here,))
    process.start()
    here.close()
    try:
        found: Found = there.recv()
    except EOFError:
        raise click.ClickException(f"{name} failed; see above") from None
    finally:
        process.join()
    return found


def table(found: Mapping[str, Sequence[Found]]) -> str:
    """Return the means over worlds as Markdown; of average precision the worst as well."""
    lines = [
        "| learner | AP (worst) | Σp/Σy | µs, 1 row | µs a row, 256 | s to train | MiB to train |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, each in found.items():
        precision, *others = zip(*each, strict=True)
        expected, one, batch, seconds, mebibytes = map(statistics.fmean, others)
        lines.append(
            f"| {name} | {statistics.fmean(precision):.3f} ({min(precision):.3f}) "
            f"| {expected:.2f} | {one:,.1f} | {batch:,.2f} | {seconds:.1f} | {mebibytes:,.0f} |"
        )
    return "\n".join(lines)


@click.command()
@click.option("--worlds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--only", type=click.Choice(list(WORLDS)), help="Leave the other rows out.")
def main(worlds: int, only: str | None) -> None:
    """Print a table for each kind of rows."""
    for kind in [only] if only else list(WORLDS):
        found: dict[str, list[Found]] = {name: [] for name in (OURS, *OTHERS)}
        for number in range(worlds):
            world = WORLDS[kind](number)
            for name, each in found.items():
                each.append(_apart(name, world))
                click.echo(f"{kind} {number}: {name} {each[-1].precision:.3f}", err=True)
        click.echo(f"{kind}, {worlds} worlds:\n\n{table(found)}\n")


if __name__ == "__main__":
    main()
