"""Daily: fetch, check and store the newest observations."""

from datetime import timedelta

from airflow.sdk import DAG, Asset, CronTriggerTimetable, Param
from common import command, defaults

DAY = {"type": ["null", "string"], "format": "date"}

with DAG(
    dag_id="ingestion",
    description="Fetch, check and store the newest observations",
    doc_md="Runs `python -m ingest`. Without parameters: the configured source's current and previous month, all "
    "stations. Rows that are stored already are left alone, so a rerun does no harm. The model API sees what was "
    "stored by itself, within seconds.",
    # No run for the past when a new system comes up: its data have just been loaded and learnt from.
    schedule=CronTriggerTimetable("30 16 * * *", timezone="Australia/Sydney", run_immediately=timedelta(0)),
    catchup=False,
    max_active_runs=1,
    tags=["data"],
    default_args=defaults(timedelta(hours=2)),
    params={
        "start": Param(None, **DAY, description="first day"),
        "end": Param(None, **DAY, description="last day"),
        "stations": Param(None, type=["null", "array"], items={"type": "string"}),
        "source": Param(None, enum=[None, "bom", "file", "demo", "upload"]),
    },
):
    command("ingest", 'ingest --params "$JOB_PARAMS"', outlets=[Asset("observations")])
