"""What Airflow answers, as much of it as the gateway needs."""

import re
from typing import Any

from pydantic import Field, JsonValue, field_validator

from meteo.runtime.answers import Needed

TASK_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,249}")


class Run(Needed):
    """A DAG run; state is Airflow's: queued, running, success or failed."""

    dag: str = Field(validation_alias="dag_id")
    run_id: str = Field(validation_alias="dag_run_id")
    state: str
    queued_at: str | None
    started_at: str | None = Field(validation_alias="start_date")
    ended_at: str | None = Field(validation_alias="end_date")
    note: str | None
    conf: dict[str, JsonValue]

    @field_validator("conf", mode="before")
    @classmethod
    def _none_is_empty(cls, value: object) -> object:
        return {} if value is None else value


class Task(Needed):
    """A task of a run; `summary` is the JSON its command printed last."""

    task: str = Field(validation_alias="task_id", pattern=rf"^{TASK_ID.pattern}$")
    state: str | None
    try_number: int = Field(ge=0)
    started_at: str | None = Field(validation_alias="start_date")
    ended_at: str | None = Field(validation_alias="end_date")
    seconds: float | None = Field(validation_alias="duration")
    summary: JsonValue = None


class RunWithTasks(Run):
    tasks: list[Task]


class Runs(Needed):
    dag_runs: list[Run]


class RunIds(Needed):
    """Of a page of runs, what tells whether there are any."""

    class Id(Needed):
        dag_run_id: str

    dag_runs: list[Id]


class Conf(Needed):
    conf: dict[str, JsonValue] | None


class State(Needed):
    state: str | None


class Instance(Task):
    id: str


class Instances(Needed):
    task_instances: list[Instance]


class Cleared(Needed):
    """The tasks that will run again."""

    task_instances: list[Any]


class Output(Needed):
    """What a task's command left: text that is JSON, or what it was made into."""

    value: JsonValue


class Line(Needed):
    """A line of a log."""

    timestamp: str | None = None
    event: str = ""


class Health(Needed):
    class Part(Needed):
        status: str | None

    scheduler: Part


class Token(Needed):
    access_token: str = Field(pattern=r"^[A-Za-z0-9._~+/=-]{1,8000}$")
