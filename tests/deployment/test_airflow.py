"""The DAG, in a real Airflow: it loads, and reports a past day from a real Postgres."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest

from fraudapp.decisions.batch import Batch
from fraudapp.local.processes import free_port
from fraudapp.sinks.postgres.sink import PostgresSink
from tests.deployment.environments import environment
from tests.support.decisions import decision

ROOT = Path(__file__).parents[2]
AIRFLOW = ROOT / "docker" / "airflow"
DAG_FILE = AIRFLOW / "dags" / "fraud_daily_report.py"
VERSION = "3.3.2"
# Airflow leaves its dependencies open; as they were on a day on which it worked.
AS_OF = "2026-11-24"
DAY = date(2026, 3, 3)


class Outcome(NamedTuple):
    """What Airflow did."""

    said: dict[str, Any]
    log: str


def run_dag(tmp_path: Path, postgres_url: str, *words: object) -> Outcome:
    """Have `run_dag.py` run these days, with a fresh database of Airflow's own."""
    folder = environment("airflow", [f"apache-airflow=={VERSION}", f"--exclude-newer={AS_OF}"])
    inherited = {name: value for name, value in os.environ.items() if name[:6] != "FRAUD_"}
    done = subprocess.run(
        [folder / "bin" / "python", Path(__file__).parent / "run_dag.py", *map(str, words)],
        env=inherited
        | {
            "AIRFLOW_HOME": str(tmp_path / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(AIRFLOW / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
            "AIRFLOW_CONN_HISTORY": postgres_url.replace("postgresql+asyncpg", "postgres"),
            "FRAUD_REPORT_COMMAND": f"{sys.executable} -m fraudapp",
            "FRAUD_REPORT_CONNECTION": "history",
            "FRAUD_DATA_DIR": str(tmp_path / "data"),
        },
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return Outcome(json.loads(done.stdout.splitlines()[-1]), done.stdout + done.stderr)


def test_the_dag_imports_nothing_heavy_where_it_is_parsed() -> None:
    tree = ast.parse(DAG_FILE.read_text())
    names = {
        alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names
    }
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    top = {node.module for node in froms if node.col_offset <= 4}
    light = {"__future__", "os", "shlex", "datetime", "typing", "urllib.parse"}
    assert {name for name in names | top if name not in light and name} <= {
        "airflow",
        "airflow.sdk",
        "airflow.sdk.bases.hook",
        "airflow.decorators",
        "airflow.exceptions",
        "airflow.hooks.base",
        "airflow.timetables.interval",
    }


def test_the_image_to_try_it_with_has_the_version_that_is_tested() -> None:
    assert f"FROM apache/airflow:{VERSION}-python" in (AIRFLOW / "Dockerfile").read_text()


@pytest.mark.timeout(900)  # on a machine without a cache, Airflow is installed first
async def test_a_past_day_is_reported_as_often_as_asked_and_a_failure_is_seen(
    postgres_url: str, tmp_path: Path
) -> None:
    sink = PostgresSink(postgres_url)
    await sink.open()
    noon = datetime(DAY.year, DAY.month, DAY.day, 12, tzinfo=timezone.utc)
    await sink.save(Batch([decision(f"id-{n}", decided_at=noon) for n in range(7)]))
    await sink.close()

    nowhere = f"FRAUD_POSTGRES_URL=postgresql+asyncpg://fraud@127.0.0.1:{free_port()}/fraud"
    without_connection = ["FRAUD_REPORT_CONNECTION=", nowhere]
    ran = run_dag(tmp_path, postgres_url, DAY, DAY, *without_connection, DAY)

    assert ran.said["import_errors"] == {}
    assert ran.said["dags"] == ["fraud_daily_report"]
    assert ran.said["catchup"] is True
    assert min(ran.said["retries"]) > 0
    assert ran.said["states"][:2] == ["success"] * 2, ran.log[-3000:]
    assert len(re.findall(rf"Decisions of {DAY} \(UTC\): 7", ran.log)) >= 2
    assert await reported_days(postgres_url) == [DAY]
    # The last had no Postgres, and says so.
    assert ran.said["states"][2] != "success"
    assert "FRAUD_POSTGRES_URL" in ran.log
    assert re.search(rf"{DAY}: no report; the command ended with [1-9]", ran.log)


async def reported_days(postgres_url: str) -> list[date] | None:
    """Days in the table of reports, in order; None without such a table."""
    connection = await asyncpg.connect(postgres_url.replace("+asyncpg", ""))
    try:
        if await connection.fetchval("SELECT to_regclass('daily_reports')") is None:
            return None
        rows = await connection.fetch("SELECT * FROM daily_reports ORDER BY 1")
    finally:
        await connection.close()
    return [row[0] for row in rows]
