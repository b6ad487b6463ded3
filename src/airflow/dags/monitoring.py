"""After each ingestion: what fell, and how good the forecasts were."""

from datetime import timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset

with DAG(
    dag_id="monitoring",
    description="Join served forecasts with what fell and score them",
    doc_md="Runs `python -m monitoring` whenever an ingestion has brought observations.",
    schedule=[Asset("observations")],
    catchup=False,
    max_active_runs=1,
    tags=["quality"],
    default_args={
        "owner": "rain-tomorrow",
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": True,
        "execution_timeout": timedelta(minutes=30),
    },
):
    BashOperator(task_id="monitor", bash_command='exec "$METEO_PYTHON" -m monitoring', append_env=True)
