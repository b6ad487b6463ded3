"""After each ingestion: what fell, how good the forecasts were, whether to learn anew; and what is too old goes."""

import json
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.python import ShortCircuitOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Asset
from common import command, defaults


def asks_for_training(task_instance: Any) -> bool:
    """What the monitoring's summary says."""
    summary = task_instance.xcom_pull(task_ids="monitor")
    parsed = json.loads(summary) if isinstance(summary, str) else summary
    print(parsed["retrain"]["reason"])  # noqa: T201
    return bool(parsed["retrain"]["ask"])


with DAG(
    dag_id="monitoring",
    description="Join served forecasts with what fell, score them, ask for training when they got worse",
    doc_md="Runs `python -m monitoring` whenever an ingestion has brought observations. When the champion's live "
    "quality has fallen, beyond chance and outside of the cool-down, the training DAG is started. Each package then "
    "removes what is too old of its own stores.",
    schedule=[Asset("observations")],
    catchup=False,
    max_active_runs=1,
    tags=["quality"],
    default_args=defaults(timedelta(minutes=30)),
):
    monitor = command("monitor", "monitoring")
    decide = ShortCircuitOperator(task_id="training_asked_for", python_callable=asks_for_training)
    (
        monitor
        >> decide
        >> TriggerDagRunOperator(
            task_id="start_training",
            trigger_dag_id="training",
            trigger_run_id="asked_by_{{ run_id }}",
            skip_when_already_exists=True,
        )
    )
    tidy_models = command("tidy_models", "train housekeeping")
    monitor >> [
        command("tidy_monitoring", "monitoring housekeeping"),
        command("tidy_archive", "ingest housekeeping"),
        tidy_models,
        command("tidy_accounts", "gateway.housekeeping"),
    ]
    tidy_models >> command("tidy_data", "preprocessing housekeeping")
