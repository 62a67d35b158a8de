"""The benchmarks run from end to end, on the real servers, if on few events."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import chain
from math import isnan, nan
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from models.policies.reading import read
from models.schema.schema import PAYSIM
from tests.benchmarks.__main__ import main
from tests.benchmarks.hundred_rules import entries, policy_text
from tests.benchmarks.report import last_line
from tests.benchmarks.rounds import median_ratio
from tests.servers.choice import real
from tests.servers.kafka import Kafka
from tests.servers.postgres import SystemPostgres
from tests.servers.redis import SystemRedis
from tests.servers.s3proxy import S3Proxy

COMPARISON = re.compile(r"[=!<>]=|[<>]|\bin\b")
FIGURE = r"(?:nan|\d[\d.e+-]*)"
LAST_LINE = re.compile(
    rf"bench: of_raw=({FIGURE}) over_best_peer=({FIGURE}) over_naive=({FIGURE}) "
    rf"over_stock_faust=({FIGURE}) p99_ms_at_500=({FIGURE})"
)


@pytest.mark.timeout(600)
def test_a_tiny_run_measures_the_worker_and_ends_with_the_line_that_programs_read(
    tmp_path: Path,
) -> None:
    for maker in (Kafka, SystemPostgres, SystemRedis, S3Proxy):
        real(maker, tmp_path / maker.name)
    out = tmp_path / "result.json"
    only = ("latency", "throughput", "policies")
    argv = ["-m", "tests.benchmarks", "--plan", "tiny", "--out", str(out)]
    argv += [word for part in only for word in ("--only", part)]
    done = subprocess.run([sys.executable, *argv], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    match = LAST_LINE.fullmatch(done.stdout.splitlines()[-1])
    assert match, done.stdout
    assert float(match[1]) >= 0, done.stdout  # of the raw loop; NaN if one of the two failed
    assert float(match[5]) > 0, done.stdout  # milliseconds at 500 events/s
    assert "failed" not in done.stdout
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    measured: dict[str, Any] = json.loads(out.read_text())
    assert last_line(measured) == match[0]
    tables = CliRunner().invoke(main, ["--readme", str(out)]).output
    assert "| events/s | p50, ms |" in tables
    assert "| policy | none | 100 rules, lists of 20,000 in all |" in tables
    assert measured["policies"]["under"]["events/s, all sinks"] > 0
    assert measured["policies"]["figures"]["% decided otherwise"] < 1


def test_the_policy_that_is_measured_has_100_rules_of_five_comparisons_in_this_schema() -> None:
    policy = read(policy_text().encode(), PAYSIM)
    comparisons = [len(COMPARISON.findall(each.when)) for each in policy.rules]
    assert (len(comparisons), sum(comparisons)) == (100, 500)
    found = entries(1_000)
    assert {*found} >= {*policy.lists}
    assert len({*chain.from_iterable(found.values())}) == 1_000


def test_only_rates_of_the_same_round_are_compared() -> None:
    assert median_ratio([10.0, 40.0, 30.0], [10.0, 20.0, 10.0]) == 2.0


@pytest.mark.parametrize("theirs", [[], [10.0, 0.0, 10.0]])
def test_a_contender_that_failed_makes_no_ratio(theirs: list[float]) -> None:
    assert isnan(median_ratio([1.0] * len(theirs), theirs))
    assert "of_raw=nan" in last_line({"ratios": RATIOS | {"of_raw": nan}, "latency": {}})


RATIOS = dict.fromkeys(("of_raw", "over_best_peer", "over_naive", "over_stock_faust"), 1.0)
