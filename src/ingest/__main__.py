"""`python -m ingest`: read observations from a source into the store."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ingest.job import Ingestion, Request
from ingest.landing import Landing
from ingest.sources import BomSource, FileSource, Source, months_before, months_between
from meteo import job
from meteo.contract import IngestionRequest, field_errors
from meteo.database import connect
from meteo.errors import InvalidInput
from meteo.settings import Settings
from meteo.station import station, stations
from meteo.store import ObservationStore

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def ingest(
    source: Annotated[str | None, typer.Option(help="file, bom or demo; default: the setting ingest.source")] = None,
    path: Annotated[list[Path] | None, typer.Option(help="file or folder to read (source file); repeatable")] = None,
    start: Annotated[str | None, typer.Option(help="first day, YYYY-MM-DD")] = None,
    end: Annotated[str | None, typer.Option(help="last day, YYYY-MM-DD")] = None,
    names: Annotated[str | None, typer.Option("--stations", help="comma-separated station names")] = None,
    params: Annotated[str, typer.Option(help="the same as one JSON object, as the ingestion DAG passes it")] = "{}",
) -> None:
    """Read observations from a source and upsert them; prints one JSON summary as its last line."""
    settings = Settings()
    given = {"source": source, "start": start, "end": end, "stations": names.split(",") if names else None}
    job.run("ingest", settings.log_level, lambda: _run(settings, given, path, params))


def _run(settings: Settings, given: dict[str, Any], paths: list[Path] | None, params: str) -> dict[str, Any]:
    try:
        options = {key: value for key, value in given.items() if value is not None}
        asked = IngestionRequest.model_validate_json(json.dumps({**json.loads(params), **options}))
    except json.JSONDecodeError as error:
        raise InvalidInput(f"--params is not a JSON object: {error}") from error
    except ValidationError as error:
        raise InvalidInput("; ".join(f"{name}: {text}" for name, text in field_errors(list(error.errors())))) from error
    places = [station(name) for name in asked.stations] if asked.stations else list(stations().values())
    name = asked.source or settings.ingest.source
    request = Request(name, asked.start, asked.end, [place.name for place in places] if asked.stations else None)
    store = ObservationStore(connect(settings.observations_url))
    store.create()
    with _client(settings, name) as client:
        origin: Source
        if name == "file":
            origin = FileSource(paths or settings.ingest.paths)
        else:
            newest = asked.end or datetime.now(UTC).date()
            oldest = asked.start or months_before(newest, settings.ingest.months - 1)
            pause = settings.ingest.pause_seconds if name == "bom" else 0.0
            origin = BomSource(client, places, months_between(oldest, newest), pause)
        ingestion = Ingestion(store, Landing(settings.home / "landing"), origin, request)
        with _progress() as bar:
            task = bar.add_task("ingest", total=origin.total)
            return ingestion.run(lambda file: bar.update(task, advance=1, description=file))


def _client(settings: Settings, source: str) -> httpx.Client:
    url = settings.ingest.demo_url if source == "demo" else settings.ingest.bom_url
    headers = {"User-Agent": settings.ingest.user_agent}
    return httpx.Client(
        base_url=url, timeout=settings.ingest.timeout_seconds, headers=headers, trust_env=source == "bom"
    )


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=Console(stderr=True),
    )  # fmt: skip


if __name__ == "__main__":
    app()
