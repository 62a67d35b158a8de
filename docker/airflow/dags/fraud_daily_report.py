"""The report of each UTC day, made after the day has ended.

A run is about its data interval: started late, again or by a backfill, it reports the same day, and
the report is written over, not added. The work is done by the program `fraudapp` in an environment
of its own, since its dependencies and Airflow's do not go together; this file imports Airflow only.

Environment of Airflow's workers:

- `FRAUD_REPORT_COMMAND`: how the program is called; default `/opt/fraudapp/bin/fraudapp`.
- `FRAUD_REPORT_CONNECTION`: id of an Airflow connection to Postgres. Unset: `FRAUD_POSTGRES_URL`.
- every other `FRAUD_*` setting of the application.
"""

from __future__ import annotations

import os
import shlex
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.exceptions import AirflowException
from airflow.timetables.interval import CronDataIntervalTimetable

try:  # Airflow 3
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.10
    from airflow import DAG
    from airflow.decorators import task

with DAG(
    dag_id="fraud_daily_report",
    description="Decisions of one UTC day, from Postgres into its report",
    doc_md=__doc__,
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    # Half an hour past midnight, when stores that were behind have caught up. As a timetable: from
    # a cron expression Airflow 3 makes intervals of no length, on the day that has just begun.
    schedule=CronDataIntervalTimetable("30 0 * * *", timezone="UTC"),
    # Days on which Airflow did not run are made up for.
    catchup=True,
    max_active_runs=2,
    default_args={
        "owner": "fraud",
        "retries": 3,
        "retry_delay": timedelta(minutes=5),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(hours=1),
        "execution_timeout": timedelta(minutes=30),
    },
    tags=["fraud"],
) as dag:

    @task(task_id="daily_report")  # type: ignore[untyped-decorator]
    def daily_report(data_interval_start: Any = None) -> None:
        """Run `fraudapp daily-report` for the day on which the data interval starts."""
        # At run time only: the scheduler reads this file again and again.
        try:
            from airflow.providers.standard.hooks.subprocess import SubprocessHook
        except ImportError:
            from airflow.hooks.subprocess import SubprocessHook

        command = shlex.split(os.environ.get("FRAUD_REPORT_COMMAND", "/opt/fraudapp/bin/fraudapp"))
        day = data_interval_start.astimezone(timezone.utc).date().isoformat()
        result = SubprocessHook().run_command(
            [*command, "daily-report", "--date", day], env={**os.environ, **_postgres_setting()}
        )
        if result.exit_code != 0:
            raise AirflowException(f"{day}: no report; the command ended with {result.exit_code}")

    daily_report()


def _postgres_setting() -> dict[str, str]:
    """`FRAUD_POSTGRES_URL` of the connection, if one is named."""
    from urllib.parse import quote

    connection_id = os.environ.get("FRAUD_REPORT_CONNECTION")
    if not connection_id:
        return {}
    try:
        from airflow.sdk.bases.hook import BaseHook
    except ImportError:
        from airflow.hooks.base import BaseHook

    found = BaseHook.get_connection(connection_id)
    user = f"{quote(found.login or '', safe='')}:{quote(found.password or '', safe='')}"
    place = f"{found.host}:{found.port or 5432}/{found.schema}"
    return {"FRAUD_POSTGRES_URL": f"postgresql+asyncpg://{user}@{place}"}
