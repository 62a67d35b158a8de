"""Tries the rule language on expressions by the million; not a part of the tests.

`python -m tests.rules_campaign --count 1000000 --seed 1` makes as many expressions, half of them
valid, compares each that is accepted with an oracle, and says how long the slowest took.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from random import Random
from typing import Final

from models.rules.errors import RulesError
from models.rules.ruleset import RuleSet
from tests.unit.models.rules.hostile import hostile
from tests.unit.models.rules.making import LISTS, SCHEMA, Expression, matrix, rows
from tests.unit.models.rules.oracle import Oracle, parsed

CHUNK: Final = 500
ROWS: Final = 8


def main() -> int:
    """Print what became of the expressions; 1 if one differed or failed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--count", type=int, default=1_000_000, help="how many expressions")
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    seeds = range(given.seed * 10**9, given.seed * 10**9 + -(-given.count // CHUNK))
    total, slowest, wrong = Counter[str](), (0.0, ""), list[str]()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for counted, slow, found in pool.map(tried, seeds, chunksize=4):
            total += counted
            slowest = max(slowest, slow)
            wrong += found
    counts = " ".join(f"{name}={total[name]}" for name in sorted(total))
    sys.stdout.write(f"{counts} differing={len(wrong)} slowest={slowest[0] * 1e3:.1f}ms\n")
    sys.stdout.write(f"slowest: {slowest[1]!a:.300}\n")
    sys.stdout.writelines(f"wrong: {each}\n" for each in wrong[:20])
    return bool(wrong)


def tried(seed: int) -> tuple[Counter[str], tuple[float, str], list[str]]:
    """Return counts, the slowest expression with its seconds of this thread, and what is wrong."""
    random = Random(seed)
    counted, slowest, wrong = Counter[str](), (0.0, ""), list[str]()
    for number in range(CHUNK):
        is_valid = number % 2 == 0
        text = Expression(random).text(random.randrange(1, 6)) if is_valid else hostile(random)
        rules, error, seconds = read(text)
        slowest = max(slowest, (seconds, text))
        if rules is None:
            counted["refused"] += 1
            is_right = error.startswith("rule 1: line ") and (not is_valid or " at most" in error)
            if not is_right:
                wrong.append(f"refused {text!a}: {error}")
            continue
        counted["valid" if is_valid else "valid_by_chance"] += 1
        if differs(text, rules, random, counted):
            wrong.append(f"differs {text!a}, seed {seed}")
    return counted, slowest, wrong


def read(text: str) -> tuple[RuleSet | None, str, float]:
    """Return the rule that a text is, or why it is none, and the seconds of this thread."""
    begun = time.thread_time()
    try:
        found: RuleSet | None = RuleSet([text], SCHEMA)
        error = ""
    except RulesError as exc:
        found, error = None, str(exc)
    except Exception as exc:  # whatever else is raised is a bug
        found, error = None, f"{type(exc).__name__}: {exc}"
    return found, error, time.thread_time() - begun


def differs(text: str, rules: RuleSet, random: Random, counted: Counter[str]) -> bool:
    """Whether the rule and the oracle say something else of one of some rows."""
    made = rows(random, ROWS)
    transactions, scores = [row.transaction for row in made], [row.score for row in made]
    hits = rules.hits(transactions, scores, matrix(made), LISTS)
    try:
        node = parsed(text)
    except Exception:
        return True  # it is no expression of Python, and was accepted
    expected = [Oracle(row, LISTS).hits(node) for row in made]
    counted["hits"] += expected.count(True)
    counted["failures"] += expected.count(None)
    counted["rows"] += ROWS
    return hits != [(0,) if each else () for each in expected] or rules.failures != [
        expected.count(None)
    ]


if __name__ == "__main__":
    sys.exit(main())
