"""Daily: fetch, check and store the newest observations."""

from datetime import timedelta

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset, Param

DAY = {"type": ["null", "string"], "format": "date"}

with DAG(
    dag_id="ingestion",
    description="Fetch, check and store the newest observations",
    doc_md="Runs `python -m ingest`. Without parameters: the configured source's current and previous month, all "
    "stations. Rows that are stored already are left alone, so a rerun does no harm.",
    schedule="30 16 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="Australia/Sydney"),
    catchup=False,
    max_active_runs=1,
    tags=["data"],
    default_args={
        "owner": "rain-tomorrow",
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": True,
        "execution_timeout": timedelta(hours=2),
    },
    params={
        "start": Param(None, **DAY, description="first day"),
        "end": Param(None, **DAY, description="last day"),
        "stations": Param(None, type=["null", "array"], items={"type": "string"}),
        "source": Param(None, enum=[None, "bom", "file", "demo"]),
    },
):
    BashOperator(
        task_id="ingest",
        bash_command='exec "$METEO_PYTHON" -m ingest --params "$JOB_PARAMS"',
        env={"JOB_PARAMS": "{{ params | tojson }}"},
        append_env=True,
        outlets=[Asset("observations")],
    )
