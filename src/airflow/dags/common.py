"""What the DAGs share: how tasks are tried again, how a command of a package becomes one, who hears of failures."""

import json
import os
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator


def tell_alertmanager(context: dict[str, Any]) -> None:
    """Post a failed task as an alert, where ALERTMANAGER_URL says there is somebody to hear it."""
    address = os.environ.get("ALERTMANAGER_URL")
    instance = context["task_instance"]
    if not address:
        print(f"{instance.dag_id}.{instance.task_id} failed; no ALERTMANAGER_URL is set to tell it to")  # noqa: T201
        return
    alert = {
        "labels": {
            "alertname": "PipelineTaskFailed",
            "severity": "warning",
            "dag": instance.dag_id,
            "task": instance.task_id,
        },
        "annotations": {
            "summary": f"{instance.dag_id}: task {instance.task_id} failed in run {instance.run_id}",
            "description": str(context.get("exception") or "")[:500],
            "runbook_url": "docs/runbooks/pipeline-task-failed.md",
        },
        "startsAt": datetime.now(UTC).isoformat(),
    }
    request = urllib.request.Request(  # noqa: S310 - the address is the operator's
        f"{address}/api/v2/alerts", json.dumps([alert]).encode(), {"Content-Type": "application/json"}
    )
    try:
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310
    except OSError as error:
        print(f"Alertmanager at {address} did not take the alert: {error}")  # noqa: T201


def defaults(timeout: timedelta) -> dict[str, Any]:
    """The `default_args` of a DAG whose tasks may take `timeout` each."""
    return {
        "owner": "rain-tomorrow",
        "retries": 2,
        "retry_delay": timedelta(seconds=int(os.environ.get("RETRY_SECONDS", "60"))),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=15),
        "execution_timeout": timeout,
        "on_failure_callback": tell_alertmanager,
    }


def command(task_id: str, arguments: str, **options: Any) -> BashOperator:
    """A task that runs `python -m ARGUMENTS` in the project's own environment; its last line is its XCom. The run's
    parameters and id are there as $JOB_PARAMS and $JOB_RUN, data that no shell takes apart. BLAS works on one thread:
    our matrices are small, and its others wait by spinning. Where JOB_SECRETS is a folder with one for each package, a
    job reads the secrets of its own."""
    environment = {"JOB_PARAMS": "{{ params | tojson }}", "JOB_RUN": "{{ run_id }}", "OPENBLAS_NUM_THREADS": "1"}
    if folder := os.environ.get("JOB_SECRETS"):
        environment["METEO_SECRETS"] = f"{folder}/{arguments.split()[0]}"
    return BashOperator(
        task_id=task_id,
        bash_command=f'exec "$METEO_PYTHON" -m {arguments}',
        append_env=True,
        env=environment,
        **options,
    )
