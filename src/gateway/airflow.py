"""Airflow's REST API, as much of it as the gateway needs."""

import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel

from gateway.upstream import Answer, Upstream
from meteo.errors import Conflict, InvalidInput, NotFound, UpstreamFailed

Dag = Literal["ingestion", "training", "monitoring"]

_RUN_ID = re.compile(r"[A-Za-z0-9_.:+-]{1,250}")
_TASK_ID = re.compile(r"[A-Za-z0-9_.-]{1,250}")


class Run(BaseModel):
    """A DAG run; state is Airflow's: queued, running, success or failed."""

    dag: str
    run_id: str
    state: str
    queued_at: str | None
    started_at: str | None
    ended_at: str | None
    note: str | None
    conf: dict[str, Any]


class Task(BaseModel):
    """A task of a run; `summary` is the JSON its command printed last."""

    task: str
    state: str | None
    try_number: int
    started_at: str | None
    ended_at: str | None
    seconds: float | None
    summary: Any = None


class RunWithTasks(Run):
    tasks: list[Task]


class Airflow:
    def __init__(self, upstream: Upstream, username: str, password: str) -> None:
        self._upstream = upstream
        self._login = {"username": username, "password": password}
        self._token = ""

    async def healthy(self) -> str | None:
        """What is wrong, or None: the API must answer and the scheduler be alive."""
        answer = await self._upstream.call("GET", "api", "v2", "monitor", "health")
        if answer.status != 200:
            return f"answered {answer.status}"
        state = answer.json()["scheduler"]["status"]
        return None if state == "healthy" else f"scheduler is {state}"

    async def trigger(self, dag: Dag, conf: Mapping[str, Any], note: str, run_id: str | None = None) -> str:
        """Start a run and give its id; Conflict while one is queued or running. With a `run_id` of the caller's, asking
        again starts nothing: the run of that id is the answer, InvalidInput if it was asked for something else."""
        if run_id is not None and (known := await self._conf(dag, run_id)) is not None:
            if known != dict(conf):
                message = "this key was used for another request"
                raise InvalidInput(f"Idempotency-Key: {message}", [("Idempotency-Key", message)])
            return run_id
        active = await self._get("dags", dag, "dagRuns", params={"state": ["queued", "running"], "limit": 1})
        if active["total_entries"]:
            raise Conflict(f"{dag} is already running: {active['dag_runs'][0]['dag_run_id']}")
        body = {"logical_date": None, "conf": dict(conf), "note": note} | ({"dag_run_id": run_id} if run_id else {})
        answer = await self._call("POST", "dags", dag, "dagRuns", json=body)
        if answer.status == 400:
            raise InvalidInput(f"Airflow refused the parameters of {dag}")
        if answer.status == 409 and run_id is not None:
            return run_id
        started: str = self._read(answer)["dag_run_id"]
        return started

    async def _conf(self, dag: Dag, run_id: str) -> dict[str, Any] | None:
        """What the run was asked for; None where there is none of that id."""
        answer = await self._call("GET", "dags", dag, "dagRuns", run_id)
        return None if answer.status == 404 else self._read(answer)["conf"] or {}

    async def runs(self, dag: Dag, limit: int) -> list[Run]:
        """Runs of a DAG, newest first."""
        found = await self._get("dags", dag, "dagRuns", params={"order_by": "-run_after", "limit": limit})
        return [Run(**_run(run)) for run in found["dag_runs"]]

    async def run(self, dag: Dag, run_id: str) -> RunWithTasks:
        """One run with its tasks in the order they start."""
        path = ("dags", dag, "dagRuns", _checked(run_id, _RUN_ID, "run_id"))
        run = await self._get(*path)
        instances = (await self._get(*path, "taskInstances"))["task_instances"]
        instances.sort(key=lambda task: (task["start_date"] is None, task["start_date"] or "", task["id"]))
        tasks = [Task(**_task(task), summary=await self._summary(path, task)) for task in instances]
        return RunWithTasks(**_run(run), tasks=tasks)

    async def log(self, dag: Dag, run_id: str, task: str, try_number: int | None) -> str:
        """A task's log as text, of its latest try unless told which."""
        path = ("dags", dag, "dagRuns", _checked(run_id, _RUN_ID, "run_id"), "taskInstances",
                _checked(task, _TASK_ID, "task"))  # fmt: skip
        number = try_number or (await self._get(*path))["try_number"]
        if not number:
            return ""
        answer = await self._call("GET", *path, "logs", str(number), headers={"Accept": "application/x-ndjson"})
        if answer.status == 404:
            raise NotFound(f"{task} has no log of try {number}")
        if answer.status != 200:
            raise UpstreamFailed(f"{self._upstream.name} answered {answer.status}")
        return "\n".join(_log_line(line) for line in answer.text.splitlines() if line)

    async def cancel(self, dag: Dag, run_id: str) -> None:
        """End a run that is queued or running; Conflict when it is neither. Its processes are stopped."""
        path = ("dags", dag, "dagRuns", _checked(run_id, _RUN_ID, "run_id"))
        state = (await self._get(*path))["state"]
        if state not in ("queued", "running"):
            raise Conflict(f"{run_id} is {state}: there is nothing to cancel")
        self._read(await self._call("PATCH", *path, params={"update_mask": "state"}, json={"state": "failed"}))

    async def retry(self, dag: Dag, run_id: str, task: str) -> None:
        """Have a failed task run again, and what comes after it; Conflict when it has not failed."""
        path = ("dags", dag, "dagRuns", _checked(run_id, _RUN_ID, "run_id"))
        state = (await self._get(*path, "taskInstances", _checked(task, _TASK_ID, "task")))["state"]
        if state not in ("failed", "upstream_failed"):
            raise Conflict(f"{task} is {state or 'not started'}: only a failed task is run again")
        asked = {
            "dry_run": False, "dag_run_id": run_id, "task_ids": [task], "only_failed": True, "reset_dag_runs": True,
            "include_downstream": True,
        }  # fmt: skip
        self._read(await self._call("POST", "dags", dag, "clearTaskInstances", json=asked))

    async def _summary(self, path: tuple[str, ...], task: Mapping[str, Any]) -> Any:
        if task["state"] != "success":
            return None
        answer = await self._call("GET", *path, "taskInstances", task["task_id"], "xcomEntries", "return_value")
        if answer.status != 200:
            return None
        value = answer.json()["value"]
        try:
            return json.loads(value) if isinstance(value, str) else value
        except json.JSONDecodeError:
            return value

    async def _get(self, *path: str, params: Mapping[str, Any] | None = None) -> Any:
        return self._read(await self._call("GET", *path, params=params))

    def _read(self, answer: Answer) -> Any:
        if answer.status == 404:
            raise NotFound("Airflow knows no such DAG, run or task")
        if answer.status not in (200, 201):
            raise UpstreamFailed(f"{self._upstream.name} answered {answer.status}")
        return answer.json()

    async def _call(self, method: str, *path: str, headers: Mapping[str, str] | None = None, **options: Any) -> Answer:
        """One call, logging in first where there is no token yet or it has run out."""
        answer = await self._authorized(method, path, headers, options) if self._token else None
        if answer is None or answer.status == 401:
            login = await self._upstream.call("POST", "auth", "token", json=self._login)
            if login.status != 201:
                raise UpstreamFailed(f"{self._upstream.name} refused the gateway's login with {login.status}")
            self._token = login.json()["access_token"]
            answer = await self._authorized(method, path, headers, options)
        return answer

    async def _authorized(
        self, method: str, path: tuple[str, ...], headers: Mapping[str, str] | None, options: Mapping[str, Any]
    ) -> Answer:
        bearer = {**(headers or {}), "Authorization": f"Bearer {self._token}"}
        return await self._upstream.call(method, "api", "v2", *path, headers=bearer, **options)


def _run(run: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "dag": run["dag_id"], "run_id": run["dag_run_id"], "state": run["state"], "queued_at": run["queued_at"],
        "started_at": run["start_date"], "ended_at": run["end_date"], "note": run["note"], "conf": run["conf"] or {},
    }  # fmt: skip


def _task(task: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "task": task["task_id"], "state": task["state"], "try_number": task["try_number"],
        "started_at": task["start_date"], "ended_at": task["end_date"], "seconds": task["duration"],
    }  # fmt: skip


def _log_line(line: str) -> str:
    entry = json.loads(line)
    return f"{entry.get('timestamp', '')} {entry.get('event', '')}".strip()


def _checked(value: str, pattern: re.Pattern[str], field: str) -> str:
    if not pattern.fullmatch(value):
        raise NotFound(f"no {field} looks like that")
    return value
