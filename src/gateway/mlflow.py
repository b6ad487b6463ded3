"""MLflow's REST API, as much of it as the gateway needs: what the monitoring runs left there."""

import re
from datetime import UTC, date, datetime
from typing import Literal

from pydantic import BaseModel, Field, FiniteFloat, JsonValue

from gateway.upstream import Answer, Upstream
from meteo.errors import NotFound, UpstreamFailed
from meteo.runtime.answers import LAST_MS, Needed, checked, parsed

Side = Literal["observations", "served"]

_ID = re.compile(r"[0-9a-f]{32}")


class DriftReport(BaseModel):
    """One look for drift."""

    id: str
    made_at: datetime
    day: date | None = Field(description="The newest day with observations then")
    verdict: str = Field(description="drift, quiet, or not enough data")
    alarms: dict[Side, int]
    share: dict[Side, FiniteFloat] = Field(description="Of the compared fields, how many are beyond their threshold")


class DriftReportWithAlarms(DriftReport):
    """`observations` and `served`: verdict, alarms with station, channel, kind, since, statistic and threshold, and
    each field's distance from its season."""

    window_days: int
    observations: dict[str, JsonValue]
    served: dict[str, JsonValue]


class _Entry(Needed):
    """A tag or a metric; MLflow writes figures that are none, such as NaN, as text."""

    key: str
    value: str | float = ""


class _Run(Needed):
    class Info(Needed):
        run_id: str = Field(pattern=f"^{_ID.pattern}$")
        start_time: int = Field(ge=0, le=LAST_MS)
        experiment_id: str

    class Data(Needed):
        tags: tuple[_Entry, ...] = ()
        metrics: tuple[_Entry, ...] = ()

    info: Info
    data: Data

    @property
    def tags(self) -> dict[str, str | float]:
        return {entry.key: entry.value for entry in self.data.tags}


class _Found(Needed):
    run: _Run


class _Runs(Needed):
    runs: tuple[_Run, ...] = ()


class _Experiment(Needed):
    class Id(Needed):
        experiment_id: str

    experiment: Id


class _Drift(Needed):
    """What monitoring wrote of one look."""

    window_days: int
    observations: dict[str, JsonValue]
    served: dict[str, JsonValue]


class Mlflow:
    def __init__(self, upstream: Upstream, experiment: str) -> None:
        self._upstream = upstream
        self._experiment = experiment

    async def healthy(self) -> str | None:
        """What is wrong, or None."""
        answer = await self._upstream.call("GET", "health")
        answer.require(200)
        return None if answer.content == b"OK" else "answered with something else than OK"

    async def drift_reports(self, limit: int) -> list[DriftReport]:
        """Those of the monitoring runs, newest first."""
        experiment = await self._experiment_id()
        if experiment is None:
            return []
        asked = {
            "experiment_ids": [experiment],
            "filter": "attributes.status = 'FINISHED'",
            "max_results": limit,
            "order_by": ["attributes.start_time DESC"],
        }
        answer = await self._upstream.call("POST", "api", "2.0", "mlflow", "runs", "search", json=asked)
        return [_report(answer.service, run) for run in answer.read(_Runs).runs if "drift" in run.tags]

    async def drift_report(self, report: str) -> DriftReportWithAlarms:
        """One with all that was found; NotFound."""
        run = await self._run(report)
        answer = await self._artifact(report, "drift.json")
        answer.require(200)
        drift = parsed(answer.service, answer.content, _Drift)
        return DriftReportWithAlarms(**_report(answer.service, run).model_dump(), **drift.model_dump())

    async def drift_page(self, report: str, side: Side) -> str:
        """Evidently's page of one side; NotFound also where none was drawn."""
        await self._run(report)
        answer = await self._artifact(report, f"drift_{side}.html")
        if answer.status == 404:
            raise NotFound(f"no page of the {side} was drawn then: nothing drifted, or there was too little to compare")
        answer.require(200)
        if not answer.headers.get("Content-Type", "").startswith("text/html"):
            raise UpstreamFailed(f"{answer.service} answered with something else than a page")
        return answer.text

    async def _experiment_id(self) -> str | None:
        answer = await self._upstream.call(
            "GET", "api", "2.0", "mlflow", "experiments", "get-by-name", params={"experiment_name": self._experiment}
        )
        return None if answer.status == 404 else answer.read(_Experiment).experiment.experiment_id

    async def _run(self, report: str) -> _Run:
        missing = NotFound(f"there is no drift report {report[:40]!r}")
        if not _ID.fullmatch(report):
            raise missing
        answer = await self._upstream.call("GET", "api", "2.0", "mlflow", "runs", "get", params={"run_id": report})
        if answer.status == 404:
            raise missing
        run = answer.read(_Found).run
        if (
            run.info.run_id != report
            or "drift" not in run.tags
            or run.info.experiment_id != await self._experiment_id()
        ):
            raise missing
        return run

    async def _artifact(self, report: str, name: str) -> Answer:
        return await self._upstream.call("GET", "get-artifact", params={"run_uuid": report, "path": name})


def _report(service: str, run: _Run) -> DriftReport:
    figures = {entry.key: entry.value for entry in run.data.metrics}
    sides = ("observations", "served")
    report = {
        "id": run.info.run_id,
        "made_at": datetime.fromtimestamp(run.info.start_time / 1000, UTC),
        "day": run.tags.get("day"),
        "verdict": run.tags["drift"],
        "alarms": {side: figures.get(f"drift.{side}.alarms", 0) for side in sides},
        "share": {side: figures.get(f"drift.{side}.share", 0.0) for side in sides},
    }
    return checked(service, report, DriftReport)
