"""How soon a worker whose disk is empty is ready again, with all its decisions behind it.

    python -m tests.benchmarks.empty_disk --events 5000000

A worker decides so many card payments into all sinks, with profiles and snapshots of them, and is
stopped. Its disk is emptied, and the time is taken from its start until `/readyz` says yes: it has
then read its decision indexes from the log, and profiles from the last snapshot on.
"""

from __future__ import annotations

import shutil
import time
from typing import Final

import click

from tests.benchmarks import schemas
from tests.benchmarks.backlog import fill, make_topic
from tests.benchmarks.contenders import OURS
from tests.benchmarks.plan import FULL
from tests.benchmarks.stack import Stack, namespace, running
from tests.benchmarks.throughput import process, resident, wait_for
from tests.benchmarks.watch import Log, Sinks

PARTITIONS: Final = 4
TIMEOUT: Final = 3_600.0
OWN: Final = {
    "FRAUD_SCHEMA": "cards",
    "FRAUD_REDIS_TTL": "60",  # or the server's memory would be the limit
}


def measure(stack: Stack, events: int) -> None:
    """Tell how long each step takes."""
    folder = stack.folder / "schemas"
    folder.mkdir()
    subject = schemas.trained_subject("cards", "cards", folder, click.echo)
    topic = make_topic(stack.broker, PARTITIONS)
    fill(stack.broker, topic, events, messages=subject.messages)
    with namespace(stack, topic, PARTITIONS) as own:
        own.models = subject.models
        own.environment |= OWN
        with process(own, OURS) as started:
            sinks = Sinks(own)

            def kept() -> bool:
                started.expect_alive()
                time.sleep(1.0)
                return min(sinks.in_s3(), sinks.in_postgres()) >= events

            click.echo(f"all of {events:,} kept after {wait_for(kept, TIMEOUT, 'kept'):.0f} s")
            started.child.stop()
        shutil.rmtree(own.folder / "data-0")
        with process(own, OURS) as started:
            seconds = wait_for(started.ready, TIMEOUT, "ready")
            click.echo(
                f"ready after {seconds:.1f} s with an empty disk, {resident(started.child):.0f} MiB"
            )
            started.child.stop()
        assert Log(own, PARTITIONS).decided() == events


@click.command(help=(__doc__ or "").partition("\n")[0])
@click.option("--events", default=200_000, show_default=True)
def main(events: int) -> None:
    """Measure."""
    with running(click.echo, FULL) as stack:
        measure(stack, events)


if __name__ == "__main__":
    main()
