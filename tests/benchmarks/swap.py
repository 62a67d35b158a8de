"""Latency while the model changes every second, beside the same load while nothing changes.

    python -m tests.benchmarks.swap

Two workers, in turns without and with changes: from one second to the next, another model decides,
with the first one in its shadow, or as a canary for half of the senders. Then every decision of the
log is held against the policy that it names: who had to decide, who is in its shadow, and both
scores, computed again from the models. Exit code 1 if one is wrong, or has only one score.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import threading
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count, cycle
from typing import Any, Final

import click
from confluent_kafka import Producer

from models.control.records import Proposed, distribution, proposal
from tests.benchmarks.backlog import make_topic
from tests.benchmarks.contenders import OURS
from tests.benchmarks.latency import SAMPLES, WARM_UP_RATE
from tests.benchmarks.plan import QUICK
from tests.benchmarks.stack import Namespace, Stack, namespace, running
from tests.benchmarks.throughput import process, wait_for
from tests.latency_probe import probe
from tests.torture.plans import as_toml
from tests.torture.reading import read
from tests.torture.recomputing import Recomputing
from tests.torture.scores import Models

PARTITIONS: Final = 4
RATE: Final = 500
INTERVAL: Final = 1.0
"""Seconds between two changes."""
_PLAN: Final[Mapping[str, Any]] = {
    "flag_at": 0.5,
    "block_at": 0.8,
    "rules": [],
    "blocked": False,
    "trusted": None,
    "up_to": 1,
    "explore": 0,
}
"""See `tests.torture.plans`."""


class Control:
    """Puts models and policies in force, as whoever may write to the control topic."""

    def __init__(self, own: Namespace, models: Models) -> None:
        self.changes = 0
        self._topic = own.environment["FRAUD_CONTROL_TOPIC"]
        self._producer = Producer({"bootstrap.servers": own.stack.broker, "linger.ms": 0})
        self._parent = ""
        for version, each in models.distributed().items():
            self._write(distribution(version, each))
        one, other = models.distributed()
        turns = ((one, other, 0), (other, one, 0), (one, other, 0.5), (other, one, 0.5))
        self._turns = cycle(turns)

    def change(self) -> None:
        """Put the next policy in force."""
        decides, shadow, canary = next(self._turns)
        named = {"model": decides, "shadow": [shadow], "canary": canary, "odd": self.changes}
        id_ = uuid.uuid4().hex
        proposed = Proposed(parent=self._parent, text=as_toml({**_PLAN, **named}), author="bench")
        self._write(proposal(id_, proposed))
        self._parent, self.changes = id_, self.changes + 1

    def _write(self, record: tuple[bytes, bytes | None, list[tuple[str, bytes]]]) -> None:
        key, value, headers = record
        self._producer.produce(self._topic, value, key, partition=0, headers=headers)  # type: ignore[arg-type]
        self._producer.flush(30)


@contextmanager
def changing(control: Control) -> Iterator[None]:
    """Change what is in force every `INTERVAL` meanwhile."""
    ended = threading.Event()

    def change() -> None:
        while not ended.wait(INTERVAL):
            control.change()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def measure(stack: Stack, seconds: float, rounds: int) -> bool:
    """Tell percentiles, and return whether all decisions are as they have to be."""
    models = Models(stack.folder / "models", stack.folder / "others")
    topic = make_topic(stack.broker, PARTITIONS)
    with namespace(stack, topic, PARTITIONS) as own, process(own, OURS) as one:
        wait_for(one.ready, 60, "a worker is ready")
        control = Control(own, models)
        control.change()
        with process(own, OURS, 1) as other:
            wait_for(other.ready, 60, "the other worker is ready")
            ports = cycle((one.port, other.port))

            def probed(rate: int, seconds: float) -> dict[str, float]:
                where = {"url": f"http://127.0.0.1:{next(ports)}", "broker": stack.broker}
                sizes = {"rate": rate, "count": int(rate * seconds), "samples": SAMPLES}
                return probe(argparse.Namespace(**where, topic=topic, **sizes))

            probed(WARM_UP_RATE, seconds)
            still, moved = [], []
            for number in count(1):
                still.append(probed(RATE, seconds))
                with changing(control):
                    moved.append(probed(RATE, seconds))
                _tell(f"round {number}", still[-1:], moved[-1:])
                if number == rounds:
                    break
            _tell("medians", still, moved)
            click.echo(f"{control.changes} changes")
            return asyncio.run(_is_right(own, models))


def _tell(what: str, still: Sequence[dict[str, float]], moved: Sequence[dict[str, float]]) -> None:
    told = (
        f"{name} {statistics.median(each[name] for each in still):.1f} and "
        f"{statistics.median(each[name] for each in moved):.1f} ms"
        for name in ("p50", "p99", "p99.9")
    )
    click.echo(f"{what}, without and with changes: {', '.join(told)}")


async def _is_right(own: Namespace, models: Models) -> bool:
    decided = [each.value for each in read(own.stack.broker, own.decisions_topic) if each.value]
    decisions: list[dict[str, Any]] = [*map(json.loads, decided)]
    control = read(own.stack.broker, own.environment["FRAUD_CONTROL_TOPIC"])
    checker = Recomputing(control, models.own)
    wrong = [each for each in map(checker.wrong, decisions) if each]
    wrong += models.wrong(each.decode() for each in decided)
    ids = Counter(each["transaction_id"] for each in decisions)
    lacking = sum(len(each.get("shadow", {})) != 1 for each in decisions)
    by_model = Counter(each["model_version"] for each in decisions)
    click.echo(
        f"{len(decisions):,} decisions, {len(decisions) - len(ids)} of them again, {lacking} "
        f"without a second score, {len(wrong)} wrong; by model: {dict(by_model)}"
    )
    for each in wrong[:5]:
        click.echo(each)
    return not (wrong or lacking or len(decisions) > len(ids))


@click.command(help=(__doc__ or "").partition("\n")[0])
@click.option("--seconds", default=30.0, show_default=True, help="Of each turn.")
@click.option("--rounds", default=3, show_default=True)
@click.pass_context
def main(context: click.Context, seconds: float, rounds: int) -> None:
    """Measure."""
    with running(click.echo, QUICK) as stack:
        is_right = measure(stack, seconds, rounds)
    context.exit(not is_right)


if __name__ == "__main__":
    main()
