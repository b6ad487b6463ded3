"""Weekly, on request, or when monitoring asks: learn from the store, judge, promote, serve."""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, Param, chain
from common import command, defaults

with DAG(
    dag_id="training",
    description="Snapshot, features, fit, judge, promote if no worse, have the champion served and asked",
    doc_md="Each task is one command of a package; each can be run again without harm, and a run that is tried again "
    "registers no second version. A challenger that is worse than the champion on the same held-out days is not "
    "promoted, and the champion serves on.",
    # No run for the past when a new system comes up: its data have just been loaded and learnt from.
    schedule=CronTriggerTimetable("0 18 * * 0", timezone="Australia/Sydney", run_immediately=timedelta(0)),
    catchup=False,
    max_active_runs=1,
    tags=["model"],
    default_args=defaults(timedelta(hours=2)),
    params={
        "model": Param(None, enum=[None, "xgboost", "logistic", "random_forest"]),
        "params": Param(None, type=["null", "object"], description="parameters of the model kind"),
        "search": Param(
            None, type=["null", "integer"], minimum=1, maximum=100, description="sets of parameters to try"
        ),
    },
):
    chain(
        command("preprocess", "preprocessing"),
        command("train", 'train --params "$JOB_PARAMS" --run "$JOB_RUN"'),
        command("promote", 'train promote --run "$JOB_RUN"'),
        command("reload", "train reload"),
        command("smoke", "train smoke"),
    )
