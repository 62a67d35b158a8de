"""How much is measured: enough for a figure (full), for a look (quick), or to see that it runs."""

from __future__ import annotations

from typing import Final, NamedTuple

from fraudapp.process.malloc import TRIM_INTERVAL
from tests.servers.jars import STARTS_SOON


class Plan(NamedTuple):
    """Sizes of one run of the benchmarks."""

    events: int
    """In the backlog."""
    rounds: int
    """Turns of the worker, the raw loop and the best peer, and of each rate."""
    seconds: float
    """Longest run of one contender, after its first event."""
    latency_seconds: float
    """Load at each rate in each round."""
    warm_up_seconds: float
    """Load before latency is measured."""
    rates: tuple[int, ...] = (100, 500, 2_000, 10_000)
    partitions: int = 4
    growth: tuple[tuple[int, int], ...] = ()
    """(partitions, workers) whose rates are compared."""
    memory_events: int = 0
    """Events during which the worker's memory is watched; 0 leaves it out."""
    indexes: tuple[int, ...] = ()
    """Sizes of index whose recovery is timed."""
    entries: int = 1_000_000
    """In the lists of the policy."""
    training_rows: int | None = None
    """Train on so many generated rows instead of the packaged sample."""
    rest_seconds: float = TRIM_INTERVAL + 2.0
    """From the last event until a worker has given back what it holds no more."""
    java_options: tuple[str, ...] = ()
    """Of the broker and the S3 server."""
    thorough: bool = True
    """With every contender and every stage; else with what the last line cannot do without."""


FULL: Final = Plan(
    events=1_000_000,
    rounds=3,
    seconds=120.0,
    latency_seconds=20.0,
    warm_up_seconds=60.0,
    growth=((1, 1), (2, 1), (2, 2), (4, 1), (4, 2), (4, 4)),
    memory_events=5_000_000,
    indexes=(0, 200_000, 1_000_000),
)
QUICK: Final = Plan(
    events=200_000,
    rounds=3,
    seconds=20.0,
    latency_seconds=6.0,
    warm_up_seconds=20.0,
    growth=((4, 1), (4, 2)),
)
TINY: Final = Plan(
    events=20_000,
    rounds=1,
    seconds=4.0,
    latency_seconds=1.0,
    warm_up_seconds=1.0,
    rates=(500,),
    partitions=2,
    entries=20_000,
    training_rows=10_000,
    rest_seconds=0.0,
    java_options=STARTS_SOON,
    thorough=False,
)
PLANS: Final = {"full": FULL, "quick": QUICK, "tiny": TINY}
