"""`python -m ingest`: read observations from a source into the store."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ingest.bom_source import BomSource
from ingest.housekeeping import Housekeeping
from ingest.job import Ingestion, Request
from ingest.landing import Landing
from ingest.months import months_before, months_between
from ingest.replay import Replay
from ingest.sources import FileSource, Source, UploadSource
from meteo.archive import uploads
from meteo.archive.store import ObservationStore
from meteo.errors import InvalidInput
from meteo.runtime import housekeeping as keeping
from meteo.runtime import job
from meteo.runtime.database import connect, connected
from meteo.runtime.settings import Settings
from meteo.schemas.data_contract import contract, markdown
from meteo.schemas.ingestions import IngestionRequest
from meteo.schemas.problems import field_errors
from meteo.station import station, stations

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def ingest(
    context: typer.Context,
    source: Annotated[
        str | None, typer.Option(help="file, bom, demo or upload; default: the setting ingest.source")
    ] = None,
    path: Annotated[list[Path] | None, typer.Option(help="file or folder to read (source file); repeatable")] = None,
    start: Annotated[str | None, typer.Option(help="first day, YYYY-MM-DD")] = None,
    end: Annotated[str | None, typer.Option(help="last day, YYYY-MM-DD")] = None,
    names: Annotated[str | None, typer.Option("--stations", help="comma-separated station names")] = None,
    params: Annotated[str, typer.Option(help="the same as one JSON object, as the ingestion DAG passes it")] = "{}",
) -> None:
    """Read observations from a source and upsert them; prints one JSON summary as its last line.

    Without a range, the current and the previous month. A run that broke off is gone on with by giving it again.
    """
    if context.invoked_subcommand is not None:
        return
    settings = Settings()
    given = {"source": source, "start": start, "end": end, "stations": names.split(",") if names else None}
    job.run("ingest", settings, lambda: _run(settings, given, path, params))


@app.command("contract")
def data_contract() -> None:
    """Print what a file of observations must hold, as docs/data-contract.md has it."""
    typer.echo("\n".join(markdown(contract())))


@app.command()
def replay(
    apply: Annotated[bool, typer.Option("--apply", help="make the stored rows what the files say")] = False,
) -> None:
    """Read every landed file again and compare with what is stored; prints one JSON summary as its last line."""
    settings = Settings()

    def work() -> dict[str, Any]:
        store = ObservationStore(connect(settings.observations_url))
        store.create()
        with _progress() as bar:
            task = bar.add_task("replay", total=None)
            return Replay(store, Landing(settings.home / "landing")).run(
                apply, lambda name, done, total: bar.update(task, completed=done, total=total, description=name)
            )

    job.run("ingest replay", settings, work)


@app.command()
def housekeeping() -> None:
    """Remove landed files that later ones supersede, and records that are too old; prints one JSON summary last."""
    settings = Settings()
    keeping.run("ingest", settings, lambda: clean(settings, datetime.now(UTC)))


def clean(settings: Settings, now: datetime) -> dict[str, int]:
    """Remove what is too old at an instant; how much of each."""
    known = settings.retention
    with connected(settings.observations_url) as engine:
        store = ObservationStore(engine)
        store.create()
        return Housekeeping(store, Landing(settings.home / "landing")).run(
            now - timedelta(days=known.ingestions_days), now - timedelta(days=known.revisions_days)
        )


def _run(settings: Settings, given: dict[str, Any], paths: list[Path] | None, params: str) -> dict[str, Any]:
    asked = _request(given, params)
    name = asked.source or settings.ingest.source
    chosen = [station(place).name for place in asked.stations] if asked.stations else None
    files = [str(path) for path in paths or settings.ingest.paths] if name == "file" else None
    request = Request(name, asked.start, asked.end, chosen, files)
    store = ObservationStore(connect(settings.observations_url))
    store.create()
    origin = UploadSource(store.uploads) if name == uploads.SOURCE else _source(settings, request)
    with _progress() as bar:
        task = bar.add_task("ingest", total=origin.total)
        ingestion = Ingestion(store, Landing(settings.home / "landing"), origin, request)
        summary = ingestion.run(lambda file: bar.update(task, advance=1, description=file))
    Console(stderr=True).print(_table(summary))
    return summary


def _request(given: dict[str, Any], params: str) -> IngestionRequest:
    try:
        options = {key: value for key, value in given.items() if value is not None}
        return IngestionRequest.model_validate_json(json.dumps({**json.loads(params), **options}))
    except (json.JSONDecodeError, TypeError) as error:
        raise InvalidInput(f"--params is not a JSON object: {error}") from error
    except ValidationError as error:
        raise InvalidInput("; ".join(f"{name}: {text}" for name, text in field_errors(list(error.errors())))) from error


def _source(settings: Settings, request: Request) -> Source:
    known = settings.ingest
    if request.source == "file":
        return FileSource([Path(path) for path in request.paths or ()])
    newest = request.end or datetime.now(UTC).date()
    oldest = request.start or months_before(newest, known.months - 1)
    wanted = [station(name) for name in request.stations] if request.stations else list(stations().values())
    real = request.source == "bom"
    return BomSource(
        known.bom_url if real else known.demo_url,
        wanted,
        months_between(oldest, newest),
        user_agent=known.user_agent,
        pause_seconds=known.pause_seconds if real else 0.0,
        timeout_seconds=known.timeout_seconds,
        attempts=known.attempts,
        backoff_seconds=known.backoff_seconds,
        trust_env=real,
    )


def _table(summary: dict[str, Any]) -> Table:
    table = Table(title=f"Ingestion {summary['run']}", show_header=False)
    for name in ("files", "new", "changed", "unchanged", "quarantined", "bytes"):
        table.add_row(name, f"{summary[name]:,}")
    table.add_row("seconds", f"{summary['seconds']:.1f}")
    for problem in summary["problems"][:10]:
        table.add_row("problem", Text(problem))
    if len(summary["problems"]) > 10:
        table.add_row("", f"and {len(summary['problems']) - 10} more")
    return table


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


if __name__ == "__main__":
    app()
