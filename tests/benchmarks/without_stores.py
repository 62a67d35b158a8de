"""The worker with no sink to follow its decision log; the rest of it as it is.

    python -m tests.benchmarks.without_stores -A fraudapp.app worker

Not a feature of the product: a worker whose decisions nobody keeps is of no use but to be measured.
"""

from __future__ import annotations

from faust.cli.faust import cli

from fraudapp.sinks.all import Sinks

if __name__ == "__main__":
    Sinks.each = property(lambda self: ())  # type: ignore[assignment, method-assign]
    cli(prog_name="faust")
