"""Airflow's REST API, as much of it as the gateway needs."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeVar

from pydantic import JsonValue
from pydantic_core import from_json
from sqlalchemy import Engine

from gateway.airflow_answers import (
    TASK_ID,
    Cleared,
    Conf,
    Health,
    Instance,
    Instances,
    Line,
    Output,
    Run,
    RunIds,
    Runs,
    RunWithTasks,
    State,
    Task,
    Token,
)
from gateway.upstream import Answer, Upstream
from meteo.errors import Conflict, InvalidInput, NotFound, UpstreamFailed
from meteo.runtime.answers import parsed
from meteo.runtime.database import only_one

T = TypeVar("T")
Dag = Literal["ingestion", "training", "monitoring"]

TURN_SECONDS = 30.0
"""So long a start waits for another of the same pipeline that Airflow is slow to answer."""
TURN_PAUSE_SECONDS = 0.05

TRIGGER_SECONDS = 20.0
"""Long: after it nobody knows whether the run was started."""
_RUN_ID = re.compile(r"[A-Za-z0-9_.:+-]{1,250}")


class Airflow:
    """`engine` is the database that all workers and replicas of the gateway share: it has them start one run at a time,
    since Airflow itself would queue a second one."""

    def __init__(self, upstream: Upstream, engine: Engine, username: str, password: str) -> None:
        self._upstream = upstream
        self._engine = engine
        self._login = {"username": username, "password": password}
        self._token = ""

    async def healthy(self) -> str | None:
        """What is wrong, or None: the API must answer and the scheduler be alive."""
        answer = await self._upstream.call("GET", "api", "v2", "monitor", "health")
        state = answer.read(Health).scheduler.status
        return None if state == "healthy" else f"scheduler is {state}"

    async def trigger(self, dag: Dag, conf: Mapping[str, Any], note: str, run_id: str | None = None) -> str:
        """Start a run and give its id; Conflict while one is queued, running or being started. With a `run_id` of the
        caller's, asking again starts nothing: the run of that id is the answer, InvalidInput if it was asked for
        something else."""
        async with self._turn(f"{dag}-start"):
            if run_id is not None and (known := await self._conf(dag, run_id)) is not None:
                if known != dict(conf):
                    message = "this key was used for another request"
                    raise InvalidInput(f"Idempotency-Key: {message}", [("Idempotency-Key", message)])
                return run_id
            return await self._started(dag, conf, note, run_id)

    async def _started(self, dag: Dag, conf: Mapping[str, Any], note: str, run_id: str | None) -> str:
        asked = {"state": ["queued", "running"], "limit": 1}
        for active in (await self._get(RunIds, "dags", dag, "dagRuns", params=asked)).dag_runs:
            raise Conflict(f"{dag} is already running: {active.dag_run_id}")
        body = {"logical_date": None, "conf": dict(conf), "note": note} | ({"dag_run_id": run_id} if run_id else {})
        answer = await self._call("POST", "dags", dag, "dagRuns", json=body, deadline=TRIGGER_SECONDS)
        if answer.status == 400:
            raise InvalidInput(f"Airflow refused the parameters of {dag}")
        if answer.status == 409 and run_id is not None:
            return run_id
        return self._read(answer, RunIds.Id).dag_run_id

    @asynccontextmanager
    async def _turn(self, work: str) -> AsyncIterator[None]:
        """Wait for the turn at `work`; Conflict when it does not come in time."""
        deadline = time.monotonic() + TURN_SECONDS
        while True:
            turn = only_one(self._engine, work)
            try:
                await asyncio.to_thread(turn.__enter__)
                break
            except Conflict:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(TURN_PAUSE_SECONDS)
        try:
            yield
        finally:
            await asyncio.to_thread(turn.__exit__, None, None, None)

    async def _conf(self, dag: Dag, run_id: str) -> dict[str, JsonValue] | None:
        """What the run was asked for; None where there is none of that id."""
        answer = await self._call("GET", "dags", dag, "dagRuns", run_id)
        return None if answer.status == 404 else self._read(answer, Conf).conf or {}

    async def runs(self, dag: Dag, limit: int) -> list[Run]:
        """Runs of a DAG, newest first."""
        params = {"order_by": "-run_after", "limit": limit}
        return (await self._get(Runs, "dags", dag, "dagRuns", params=params)).dag_runs

    async def run(self, dag: Dag, run_id: str) -> RunWithTasks:
        """One run with its tasks in the order they start."""
        path = ("dags", dag, "dagRuns", _checked(run_id, _RUN_ID, "run_id"))
        run = await self._get(Run, *path)
        tasks = (await self._get(Instances, *path, "taskInstances")).task_instances
        tasks.sort(key=lambda task: (task.started_at is None, task.started_at or "", task.id))
        for task in tasks:
            task.summary = await self._summary(path, task)
        return RunWithTasks(**run.model_dump(), tasks=[Task(**task.model_dump(exclude={"id"})) for task in tasks])

    async def log(self, dag: Dag, run_id: str, task: str, try_number: int | None) -> str:
        """A task's log as text, of its latest try unless told which."""
        path = (
            "dags",
            dag,
            "dagRuns",
            _checked(run_id, _RUN_ID, "run_id"),
            "taskInstances",
            _checked(task, TASK_ID, "task"),
        )
        number = try_number or (await self._get(Instance, *path)).try_number
        if not number:
            return ""
        answer = await self._call("GET", *path, "logs", str(number), headers={"Accept": "application/x-ndjson"})
        if answer.status == 404:
            raise NotFound(f"{task} has no log of try {number}")
        answer.require(200)
        lines = [parsed(answer.service, line, Line) for line in answer.content.split(b"\n") if line.strip()]
        return "\n".join(f"{line.timestamp or ''} {line.event}".strip() for line in lines)

    async def cancel(self, dag: Dag, run_id: str) -> None:
        """End a run that is queued or running; Conflict when it is neither. Its processes are stopped."""
        path = ("dags", dag, "dagRuns", _checked(run_id, _RUN_ID, "run_id"))
        state = (await self._get(State, *path)).state
        if state not in ("queued", "running"):
            raise Conflict(f"{run_id} is {state}: there is nothing to cancel")
        answer = await self._call("PATCH", *path, params={"update_mask": "state"}, json={"state": "failed"})
        self._read(answer, State)

    async def retry(self, dag: Dag, run_id: str, task: str) -> None:
        """Have a failed task run again, and what comes after it; Conflict when it has not failed."""
        path = ("dags", dag, "dagRuns", _checked(run_id, _RUN_ID, "run_id"))
        state = (await self._get(State, *path, "taskInstances", _checked(task, TASK_ID, "task"))).state
        if state not in ("failed", "upstream_failed"):
            raise Conflict(f"{task} is {state or 'not started'}: only a failed task is run again")
        asked = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": [task],
            "only_failed": True,
            "reset_dag_runs": True,
            "include_downstream": True,
        }
        self._read(await self._call("POST", "dags", dag, "clearTaskInstances", json=asked), Cleared)

    async def _summary(self, path: tuple[str, ...], task: Task) -> JsonValue:
        if task.state != "success":
            return None
        answer = await self._call("GET", *path, "taskInstances", task.task, "xcomEntries", "return_value")
        if answer.status == 404:
            return None
        value = answer.read(Output).value
        try:
            return from_json(value, allow_inf_nan=False) if isinstance(value, str) else value
        except ValueError:  # it printed no JSON
            return value

    async def _get(self, expected: type[T], *path: str, params: Mapping[str, Any] | None = None) -> T:
        return self._read(await self._call("GET", *path, params=params), expected)

    def _read(self, answer: Answer, expected: type[T]) -> T:
        if answer.status == 404:
            raise NotFound("Airflow knows no such DAG, run or task")
        return answer.read(expected, 200, 201)

    async def _call(self, method: str, *path: str, headers: Mapping[str, str] | None = None, **options: Any) -> Answer:
        """One call, logging in first where there is no token yet or it has run out."""
        answer = await self._authorized(method, path, headers, options) if self._token else None
        if answer is None or answer.status == 401:
            login = await self._upstream.call("POST", "auth", "token", json=self._login)
            if login.status in (401, 403):
                raise UpstreamFailed(f"{self._upstream.name} refused the gateway's login with {login.status}")
            self._token = login.read(Token, 201).access_token
            answer = await self._authorized(method, path, headers, options)
        return answer

    async def _authorized(
        self, method: str, path: tuple[str, ...], headers: Mapping[str, str] | None, options: Mapping[str, Any]
    ) -> Answer:
        bearer = {**(headers or {}), "Authorization": f"Bearer {self._token}"}
        return await self._upstream.call(method, "api", "v2", *path, headers=bearer, **options)


def _checked(value: str, pattern: re.Pattern[str], field: str) -> str:
    if not pattern.fullmatch(value):
        raise NotFound(f"no {field} looks like that")
    return value
