"""The command that writes credit transfers to a file of JSON lines.

The same seed writes the same file.

    python -m data.pacs008 --seed 20 --rows 30_000 --out transfers.jsonl
"""

from __future__ import annotations

from collections.abc import Sequence

from data import command_line
from data.pacs008.generator import write_json_lines
from data.pacs008.plan import Plan


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; see the module's docstring."""
    plan = Plan()
    parser = command_line.parser(
        "data.pacs008", "Generate credit transfers as JSON lines.", plan, "file of JSON lines"
    )
    parser.add_argument("--rows", type=int, default=plan.rows)
    parser.add_argument(
        "--fraud-rate", type=float, default=plan.fraud_rate, help="share of the rows"
    )
    given = parser.parse_args(arguments)

    def making() -> int:
        asked = Plan(given.seed, given.rows, given.days, given.start, given.fraud_rate)
        return write_json_lines(asked, given.out)

    command_line.write(parser, given.out, making)


if __name__ == "__main__":
    main()
