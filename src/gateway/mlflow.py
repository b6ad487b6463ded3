"""MLflow's REST API, as much of it as the gateway needs: what the monitoring runs left there."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from gateway.upstream import Answer, Upstream
from meteo.errors import NotFound, UpstreamFailed

Side = Literal["observations", "served"]

_ID = re.compile(r"[0-9a-f]{32}")


class DriftReport(BaseModel):
    """One look for drift."""

    id: str
    made_at: datetime
    day: date | None = Field(description="The newest day with observations then")
    verdict: str = Field(description="drift, quiet, or not enough data")
    alarms: dict[Side, int]
    share: dict[Side, float] = Field(description="Of the compared fields, how many are beyond their threshold")


class DriftReportWithAlarms(DriftReport):
    """`observations` and `served`: verdict, alarms with station, channel, kind, since, statistic and threshold, and
    each field's distance from its season."""

    window_days: int
    observations: dict[str, Any]
    served: dict[str, Any]


class Mlflow:
    def __init__(self, upstream: Upstream, experiment: str) -> None:
        self._upstream = upstream
        self._experiment = experiment

    async def healthy(self) -> str | None:
        """What is wrong, or None."""
        answer = await self._upstream.call("GET", "health")
        return None if answer.status == 200 else f"answered {answer.status}"

    async def drift_reports(self, limit: int) -> list[DriftReport]:
        """Those of the monitoring runs, newest first."""
        experiment = await self._experiment_id()
        if experiment is None:
            return []
        asked = {"experiment_ids": [experiment], "filter": "attributes.status = 'FINISHED'", "max_results": limit,
                 "order_by": ["attributes.start_time DESC"]}  # fmt: skip
        answer = await self._upstream.call("POST", "api", "2.0", "mlflow", "runs", "search", json=asked)
        runs = self._read(answer).get("runs", [])
        return [DriftReport(**_report(run)) for run in runs if "drift" in _tags(run)]

    async def drift_report(self, report: str) -> DriftReportWithAlarms:
        """One with all that was found; NotFound."""
        run = await self._run(report)
        found = self._read(await self._artifact(report, "drift.json"))
        sides = {side: found[side] for side in ("observations", "served")}
        return DriftReportWithAlarms(**_report(run), window_days=found["window_days"], **sides)

    async def drift_page(self, report: str, side: Side) -> str:
        """Evidently's page of one side; NotFound also where there were too few rows for one."""
        await self._run(report)
        answer = await self._artifact(report, f"drift_{side}.html")
        if answer.status == 404:
            raise NotFound(f"there were too few {side} to draw a report of")
        if answer.status != 200:
            raise UpstreamFailed(f"{self._upstream.name} answered {answer.status}")
        return answer.text

    async def _experiment_id(self) -> str | None:
        answer = await self._upstream.call(
            "GET", "api", "2.0", "mlflow", "experiments", "get-by-name", params={"experiment_name": self._experiment}
        )
        return None if answer.status == 404 else str(self._read(answer)["experiment"]["experiment_id"])

    async def _run(self, report: str) -> Mapping[str, Any]:
        missing = NotFound(f"there is no drift report {report[:40]!r}")
        if not _ID.fullmatch(report):
            raise missing
        answer = await self._upstream.call("GET", "api", "2.0", "mlflow", "runs", "get", params={"run_id": report})
        if answer.status == 404:
            raise missing
        run: Mapping[str, Any] = self._read(answer)["run"]
        if "drift" not in _tags(run) or run["info"]["experiment_id"] != await self._experiment_id():
            raise missing
        return run

    async def _artifact(self, report: str, name: str) -> Answer:
        return await self._upstream.call("GET", "get-artifact", params={"run_uuid": report, "path": name})

    def _read(self, answer: Answer) -> Any:
        if answer.status != 200:
            raise UpstreamFailed(f"{self._upstream.name} answered {answer.status}")
        return answer.json()


def _tags(run: Mapping[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["data"].get("tags", [])}


def _report(run: Mapping[str, Any]) -> dict[str, Any]:
    tags = _tags(run)
    figures = {metric["key"]: metric["value"] for metric in run["data"].get("metrics", [])}
    sides = ("observations", "served")
    return {
        "id": run["info"]["run_id"], "made_at": datetime.fromtimestamp(run["info"]["start_time"] / 1000, UTC),
        "day": tags.get("day"), "verdict": tags["drift"],
        "alarms": {side: int(figures.get(f"drift.{side}.alarms", 0)) for side in sides},
        "share": {side: figures.get(f"drift.{side}.share", 0.0) for side in sides},
    }  # fmt: skip
