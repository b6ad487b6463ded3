"""Daily: fetch, check and store the newest observations."""

from datetime import timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset, CronTriggerTimetable, Param

DAY = {"type": ["null", "string"], "format": "date"}

with DAG(
    dag_id="ingestion",
    description="Fetch, check and store the newest observations",
    doc_md="Runs `python -m ingest`. Without parameters: the configured source's current and previous month, all "
    "stations. Rows that are stored already are left alone, so a rerun does no harm.",
    # No run for the past when a new system comes up: its data have just been loaded and learnt from.
    schedule=CronTriggerTimetable("30 16 * * *", timezone="Australia/Sydney", run_immediately=timedelta(0)),
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
