"""A year of the product without a hand on it, in minutes: every process lives in simulated days, which this one moves.

Each day has one ingestion, the monitoring, each package's housekeeping, and forecasts that people ask for through the
gateway; each week a training. Airflow is left out: the jobs that its DAGs name are started here. What each store holds
is written down, and one that holds more than it may after so many days fails the run.
"""

import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import typer
from machine import DEMO_MONTHS, Machine, job
from rich.console import Console
from rich.progress import Progress, TextColumn
from rich.table import Table
from simulated_time import Clock
from year_jobs import DAILY, FITTING, OF_MODELS, RELEASE, Job
from year_people import People
from year_stores import WEEK, Plan, broken, limits, measure

from ingest.months import months_before
from meteo.station import stations

SERVERS = ("demo", "mlflow", "api-model", "gateway", "console")
HOUR = 6
"""UTC; about when the ingestion is scheduled, in the afternoon of Sydney."""
SETTINGS = {
    "METEO_TRAIN__KIND": "logistic",
    "METEO_TRAIN__MASKED_SHARE": "0.25",
    "METEO_TRAIN__MARGIN": "0.01",  # ten weeks of holdout are too few to tell .0005
    "METEO_TRAIN__ECE_LIMIT": "0.2",  # and to be sure of a calibration
    "METEO_MONITORING__PAGE_DAYS": "28",
    "METEO_GATEWAY__PREDICTIONS_USER": "6000/minute",
}

console = Console(stderr=True)


class Year:
    """The days of one home, and what was measured on them."""

    def __init__(self, machine: Machine, clock: Clock, days: int, plan: Plan, leave_out: Collection[str]) -> None:
        self.machine = machine
        self._clock = clock
        self._first = datetime.now(UTC).replace(hour=HOUR, minute=0, second=0, microsecond=0) - timedelta(days=days)
        self._plan = plan
        some = list(stations())[: plan.stations]
        self._stations = "" if len(some) == len(stations()) else f"--stations {','.join(some)}"
        self._dice = np.random.default_rng(0)
        self._left_out = frozenset(leave_out)
        self._began = time.monotonic()
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.processor: dict[str, list[float]] = defaultdict(list)
        self.figures: list[dict[str, int]] = []
        """At the end of each day, the one of the start first."""
        self.pages: dict[int, dict[str, float]] = {}
        """By the day, ms."""
        self._training: Job | None = None
        self._run = ""
        self.promoted = 0
        self.asked_for_training = 0

    def begin(self, ending: ExitStack) -> None:
        """Start the servers on the day before the first, with data and a model as `make up` does."""
        self._clock.move(self._first)
        machine = self.machine
        machine.supervision.start()
        machine.start("demo", "mlflow")
        job("first accounts", "gateway", "users", "bootstrap", "--file", str(machine.home.folder / "credentials.json"))
        self._do(f"{self._full('ingest')} --start {months_before(self._first.date(), DEMO_MONTHS)}")
        self._do("preprocessing", "train first")
        machine.start(*SERVERS[2:])
        self._people = ending.enter_context(People(machine))
        self.figures.append(measure(machine.home.folder))

    def live(self, number: int) -> None:
        """Go through a day: 1 is the first."""
        self._clock.move(self._first + timedelta(days=number))
        began = time.monotonic()
        if self._training and self._training.is_done():
            self.end_training()
        rows = [Job(*(self._full(command) for command in row if self._is_due(command))) for row in DAILY]
        with self._timed("questions"):
            self._people.ask(self._plan.predictions, self._dice)
            self._people.log_in_at_console()
        monitored, *_ = [self._ended(row) for row in rows]
        self.asked_for_training += monitored[0]["retrain"]["ask"]
        if number % self._plan.train_every == 0:
            self.end_training()
            self._run = f"day-{number}"
            self._training = Job(*(command.format(run=self._run) for command in FITTING))
        if number % WEEK == 0:
            with self._timed("pages"):
                self.pages[number] = self._people.read_pages()
        with self._timed("measuring"):
            self.figures.append(measure(self.machine.home.folder))
        self.seconds["day"].append(time.monotonic() - began)

    def _is_due(self, command: str) -> bool:
        return command not in self._left_out and not (self._training and command in OF_MODELS)

    def _full(self, command: str) -> str:
        return f"{command} {self._stations}".rstrip() if command == "ingest" else command

    def end_training(self) -> None:
        """Wait for the training that goes on beside the days, if one does, and let its model serve.

        This takes part of a day: the clock may not move between a service's token and who is asked."""
        if self._training is not None:
            self._ended(self._training)
            self._training = None
            self.promoted += self._do(*(command.format(run=self._run) for command in RELEASE))[0]["promoted"]

    def _do(self, *commands: str) -> list[dict[str, Any]]:
        """Run jobs one after the other; their summaries."""
        return self._ended(Job(*commands))

    def _ended(self, begun: Job) -> list[dict[str, Any]]:
        summaries = begun.wait()
        for summary in summaries:
            name = summary["command"].partition(" --")[0]
            self.seconds[name].append(summary["seconds"])
            self.processor[name].append(summary["processor"])
        return summaries

    def _processor_seconds(self) -> dict[str, float]:
        """Of the jobs and this program, and of the servers, all together."""
        states = self.machine.supervision.states()
        servers = [psutil.Process(states[name]["pid"]) for name in SERVERS]
        families = [each for server in servers for each in (server, *server.children(recursive=True))]
        return {
            "jobs": round(sum(os.times()[:4]), 1),
            "servers": round(sum(sum(each.cpu_times()[:2]) for each in families), 1),
        }

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[name].append(time.monotonic() - began)

    def report(self) -> dict[str, Any]:
        """What is known so far; `broken` is empty where every store keeps to its bounds."""
        retention = self.machine.settings.retention
        bounds = limits(retention, self._plan)
        first = self.figures[0]
        days = len(self.figures) - 1
        return {
            "days": days,
            "first_day": (self._first + timedelta(days=1)).date().isoformat(),
            "plan": asdict(self._plan),
            "retention": retention.model_dump(),
            "broken": broken(self.figures, bounds),
            "promoted": self.promoted,
            "trainings_asked_for_by_monitoring": self.asked_for_training,
            "seconds": round(time.monotonic() - self._began, 1),
            "processor_seconds": self._processor_seconds(),
            "seconds_of": _means(self.seconds),
            "processor_seconds_of": _means(self.processor),
            "pages_ms": self.pages,
            "most": {bound.figure: round(first.get(bound.figure, 0) + bound.growth(days)) for bound in bounds},
            "figures": {day: self.figures[day] for day in sorted({*range(0, days, WEEK), days})},
        }


def _means(values: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    return {
        name: {"times": len(each), "mean": round(sum(each) / len(each), 3), "last": round(each[-1], 3)}
        for name, each in values.items()
    }


def tables(found: Mapping[str, Any]) -> Iterator[Table]:
    """The report for people."""
    columns = list(found["figures"])
    shown = [columns[0], columns[len(columns) // 2], columns[-1]]
    title = f"{found['days']} days, {found['seconds']:.0f} s"
    stores = Table("store", *(f"day {day}" for day in shown), "at most", title=title)
    names = [name for name, value in found["figures"][columns[-1]].items() if value and "alembic" not in name]
    for name in sorted(names):
        cells = [f"{found['figures'][day].get(name, 0):,}" for day in shown]
        style = "red" if name in found["broken"] else None
        stores.add_row(name, *cells, f"{found['most'][name]:,}" if name in found["most"] else "", style=style)
    yield stores
    work = Table("work", "times", "seconds", "of a processor")
    for name, told in found["seconds_of"].items():
        processor = found["processor_seconds_of"].get(name)
        work.add_row(name, str(told["times"]), f"{told['mean']:.2f}", f"{processor['mean']:.2f}" if processor else "")
    yield work
    if found["pages_ms"]:
        newest = list(found["pages_ms"].values())[-1]
        pages = Table("slowest pages", "ms")
        for page, milliseconds in sorted(newest.items(), key=lambda entry: -entry[1])[:8]:
            pages.add_row(page, f"{milliseconds:,.0f}")
        yield pages


def prepare(home: Path) -> Machine:
    """A home of its own with free ports; what the environment says goes before SETTINGS."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(7)]
    ports = [str(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    parts = (
        "MLFLOW__PORT",
        "API_MODEL__PORT",
        "GATEWAY__PORT",
        "CONSOLE__PORT",
        "CONSOLE__METRICS_PORT",
        "AIRFLOW__PORT",
    )
    free = {f"METEO_{part}": port for part, port in zip(parts, ports, strict=False)}
    free["METEO_INGEST__DEMO_URL"] = f"http://127.0.0.1:{ports[-1]}"
    os.environ.update(free | {name: os.environ.get(name, value) for name, value in SETTINGS.items()})
    return Machine(home, prepare=True)


def main(
    days: Annotated[int, typer.Option(min=1, max=3650)] = 365,
    home: Annotated[Path | None, typer.Option(help="an empty folder, which stays; by default one that goes")] = None,
    predictions: Annotated[int, typer.Option(min=1, help="a day")] = 1000,
    places: Annotated[int, typer.Option("--stations", min=2, max=49)] = 49,
    train_every: Annotated[int, typer.Option(min=1, help="days from one training to the next")] = WEEK,
    leave_out: Annotated[list[str] | None, typer.Option(help="a housekeeping not to do: its stores then fail")] = None,
    report: Path = Path("reports/year.json"),
) -> None:
    """Live through so many days up to today; fails when a store grows beyond its bound."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with ExitStack() as ending:
        clock = Clock()
        ending.callback(clock.remove)
        machine = prepare(home or Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="year-"))))
        ending.callback(machine.supervision.shutdown)
        ending.callback(Job.end_all)
        year = Year(
            machine,
            clock,
            days,
            Plan(predictions, places, train_every, machine.settings.monitoring.page_days),
            leave_out or (),
        )
        year.begin(ending)
        columns = (*Progress.get_default_columns(), TextColumn("{task.fields[said]}"))
        with Progress(*columns, console=console, auto_refresh=False) as bars:  # no thread: jobs are forked
            task = bars.add_task("days", total=days, said="")
            for number in range(1, days + 1):
                year.live(number)
                if number == days:
                    year.end_training()
                bars.update(task, completed=number, said=f"{year.seconds['day'][-1]:.1f} s", refresh=True)
                if number % WEEK == 0 or number == days:
                    found = year.report()
                    report.parent.mkdir(parents=True, exist_ok=True)
                    report.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for table in tables(found):
        console.print(table)
    for figure, told in found["broken"].items():
        console.print(f"[red]{figure}[/] {told}")
    raise typer.Exit(1 if found["broken"] else 0)


if __name__ == "__main__":
    typer.run(main)
