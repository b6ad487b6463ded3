"""Weekly or on request: learn from the store, judge, promote, serve."""

from datetime import timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, CronTriggerTimetable, Param, chain

with DAG(
    dag_id="training",
    description="Snapshot, features, fit, judge, promote if no worse, have the champion served",
    doc_md="Each task is one command of a package; each can be run again without harm. A challenger that is worse "
    "than the champion on the same held-out days is not promoted, and the champion serves on.",
    # No run for the past when a new system comes up: its data have just been loaded and learnt from.
    schedule=CronTriggerTimetable("0 18 * * 0", timezone="Australia/Sydney", run_immediately=timedelta(0)),
    catchup=False,
    max_active_runs=1,
    tags=["model"],
    default_args={
        "owner": "rain-tomorrow",
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": True,
        "execution_timeout": timedelta(hours=2),
    },
    params={
        "model": Param(None, enum=[None, "xgboost", "logistic", "random_forest"]),
        "params": Param(None, type=["null", "object"], description="parameters of the model kind"),
    },
):
    chain(
        *(
            BashOperator(
                task_id=task_id,
                bash_command=f'exec "$METEO_PYTHON" -m {command}',
                env={"JOB_PARAMS": "{{ params | tojson }}"},
                append_env=True,
            )
            for task_id, command in (
                ("preprocess", "preprocessing"),
                ("train", 'train --params "$JOB_PARAMS"'),
                ("promote", "train promote"),
                ("reload", "train reload"),
            )
        )
    )
