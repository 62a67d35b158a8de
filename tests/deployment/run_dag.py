"""Load the DAGs and run one: `AIRFLOW_PYTHON run_dag.py DATE...`, in an environment of Airflow.

`NAME=VALUE` among the dates sets a variable of the environment for those that follow. Says on the
last line, as JSON, what could not be imported and how each run ended.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.utils.db import initdb

try:  # Airflow 3
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models import DagBag

DAG_ID = "fraud_daily_report"


def main(words: list[str]) -> None:
    initdb()
    bag = DagBag()
    dag = bag.dags.get(DAG_ID)
    answer: dict[str, Any] = {
        "import_errors": {str(path): error for path, error in bag.import_errors.items()},
        "dags": sorted(bag.dags),
        "states": [],
    }
    if dag is not None:
        answer["catchup"] = dag.catchup
        answer["retries"] = [task.retries for task in dag.tasks]
        for task in dag.tasks:
            task.retries = 0  # a failure is to be seen at once
        for number, word in enumerate(words):
            name, is_setting, value = word.partition("=")
            if is_setting:
                os.environ[name] = value
            else:
                answer["states"].append(run(dag, number, word))
    sys.stdout.write(f"\n{json.dumps(answer)}\n")


def run(dag: Any, number: int, text: str) -> str:
    """Run the DAG as whoever starts it on the morning after a day; minutes tell runs apart."""
    morning = datetime.fromisoformat(text).replace(tzinfo=timezone.utc)
    morning += timedelta(days=1, hours=6, minutes=number)
    names = inspect.signature(dag.test).parameters
    name = "logical_date" if "logical_date" in names else "execution_date"
    try:
        done = dag.test(**{name: morning})
    except Exception as exc:  # what Airflow raises differs between versions
        return f"{type(exc).__name__}: {exc}"
    return str(getattr(done.state, "value", done.state))


main(sys.argv[1:])
