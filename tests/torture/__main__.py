"""Breaks workers, sinks and the broker under load, and checks that no promise is broken.

    make torture MINUTES=30 SEED=1

The last line is
`torture: lost=0 doubled=0 miscounted=0 misdecided=0 mislabelled=0 misremembered=0 events=N kills=K
faults=F`; the exit code is 0 only if all held. With the same seed the same is done at the same
times; what is hit differs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.servers.kafka_cluster import NODES
from tests.torture.cluster import Cluster, on_cluster
from tests.torture.faults import ALL
from tests.torture.run import PARTS, Plan, torture


async def held(cluster: Cluster, plan: Plan) -> bool:
    """Torture, print the line that programs read, and return whether every promise was kept."""
    verdict = await torture(cluster, plan)
    print(f"torture: {verdict}", flush=True)  # noqa: T201
    return verdict.held


def main() -> None:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=400.0, help="messages a second")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--brokers", type=int, default=1, choices=(1, len(NODES)))
    parser.add_argument("--before", help="a commit: workers change between it and what is here")
    parser.add_argument("--keep", type=Path, help="keep logs and data in this folder")
    parser.add_argument("--pace", type=float, default=1.0, help="0.5: faults twice as often")
    parser.add_argument(
        "--only",
        default=",".join(ALL),
        help=f"kinds of faults, separated by commas, or none; all there are: {','.join(ALL)}",
    )
    parser.add_argument("--without", action="append", default=[], choices=PARTS)
    options = parser.parse_args()
    only = [name for name in options.only.split(",") if name and name != "none"]
    if unknown := set(only) - set(ALL):
        parser.error(f"no such faults: {', '.join(unknown)}; there are {', '.join(ALL)}")
    if not options.before:
        only = [name for name in only if name != "version"]
    if options.brokers > 1:  # the others have what a copy of one lacks
        only = [name for name in only if name != "shorten_log"]
    plan = Plan(
        options.minutes * 60, options.seed, options.rate, only, options.pace, options.without
    )
    on_cluster(
        options.workers,
        lambda cluster: held(cluster, plan),
        options.keep,
        options.brokers,
        options.before,
    )


if __name__ == "__main__":
    main()
