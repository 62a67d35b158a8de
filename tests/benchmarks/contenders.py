"""What is compared, and how each is started."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

_WORKER: Final = ("-A", "fraudapp.app", "worker", "-l", "warn")
_FAUST: Final = ("worker", "-l", "warn")
_PEERS: Final = "tests.benchmarks.peers"


class Contender(NamedTuple):
    """One way to do the work; a process of its own, which runs until it is killed."""

    name: str
    module: str
    arguments: Sequence[str] = ()
    sinks: bool = True
    """Whether it keeps its decisions."""
    watched: str = "stores"
    """Where its progress is seen: `sinks`, each of them; `redis`, where the others are in step;
    `log`, our log of decisions; `file`, its own word."""
    seconds: float = 60.0
    """Longest run after its first event; slow ones need no more to show their rate."""

    @property
    def argv(self) -> list[str]:
        """The command."""
        return [sys.executable, "-m", self.module, *self.arguments]


OURS: Final = Contender("fraudapp", "faust", _WORKER)
OURS_ALONE: Final = Contender(
    "fraudapp, no sinks", "tests.benchmarks.without_stores", _WORKER, sinks=False, watched="log"
)
RAW: Final = Contender("raw loop", f"{_PEERS}.raw")
RAW_ALONE: Final = Contender("raw loop, no sinks", f"{_PEERS}.raw", sinks=False, watched="file")
TUNED: Final = Contender("FastStream batch, our parser", f"{_PEERS}.faststream_tuned")
BULK_PEERS: Final = (
    Contender("FastStream batch", f"{_PEERS}.faststream_batch"),
    Contender("Quix Streams", f"{_PEERS}.quix"),
    Contender("stock Faust, take", f"{_PEERS}.stock_take", _FAUST, seconds=12.0),
)
STOCK: Final = Contender("stock Faust", f"{_PEERS}.stock", _FAUST, watched="redis", seconds=12.0)
STOCK_ALONE: Final = Contender(
    "stock Faust, no sinks",
    f"{_PEERS}.stock",
    _FAUST,
    sinks=False,
    watched="file",
    seconds=12.0,
)
NAIVE: Final = Contender("naive loop", f"{_PEERS}.naive", watched="redis", seconds=12.0)
LIMITS: Final = (
    Contender("confluent-kafka consume", f"{_PEERS}.consume_confluent", (), False, "file"),
    Contender("aiokafka getmany", f"{_PEERS}.consume_aiokafka", (), False, "file"),
)
ALL_CONTENDERS: Final = (
    OURS,
    OURS_ALONE,
    RAW,
    RAW_ALONE,
    *BULK_PEERS,
    TUNED,
    STOCK,
    STOCK_ALONE,
    NAIVE,
    *LIMITS,
)
