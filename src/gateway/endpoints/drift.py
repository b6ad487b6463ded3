"""What admins read of drift: the looks for it, what each found, and the page that shows it."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import HTMLResponse

from gateway.dependencies import CurrentAdmin, Wired
from gateway.mlflow import DriftReport, DriftReportWithAlarms, Side

router = APIRouter(prefix="/admin/drift", tags=["admin"])

ReportId = Annotated[str, Path(description="As the list has it; there is no other")]

SANDBOX = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; frame-ancestors 'self'"
)
"""Evidently's page brings its scripts with it: they run without an origin, and reach nothing."""


@router.get("")
async def drift_reports(
    _: CurrentAdmin, wired: Wired, limit: Annotated[int, Query(ge=1, le=200)] = 30
) -> list[DriftReport]:
    """The looks for drift, newest first."""
    return await wired.mlflow.drift_reports(limit)


@router.get("/{report}")
async def drift_report(report: ReportId, _: CurrentAdmin, wired: Wired) -> DriftReportWithAlarms:
    """What one look found: alarms by station and instrument, and each field's distance from its season."""
    return await wired.mlflow.drift_report(report)


@router.get("/{report}/report", response_class=HTMLResponse)
async def drift_page(report: ReportId, _: CurrentAdmin, wired: Wired, of: Side = "observations") -> HTMLResponse:
    """Evidently's page of the readings beside those of the same season, in a sandbox of its own."""
    return HTMLResponse(await wired.mlflow.drift_page(report, of), headers={"Content-Security-Policy": SANDBOX})
