"""`make bench`: ratios against named rivals, measured in the same run, with their spread; reports/bench.json."""

import json
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import cost
import door
import ingestion
import serving
import typer
from measure import commit
from rich.console import Console
from rich.table import Table

BENCHMARKS = {"ingestion": ingestion.run, "serving": serving.run, "cost": cost.run, "door": door.run}
REPORT = Path("reports/bench.json")

console = Console(stderr=True)


def main(
    history: Annotated[Path, typer.Option(help="weatherAUS.csv.gz")],
    only: Annotated[str, typer.Option(help="one benchmark's name; default: all")] = "",
) -> None:
    """Run benchmarks and write their report."""
    if not history.is_file():
        raise typer.BadParameter(f"{history} is not a file; the benchmarks need the real weatherAUS.csv.gz")
    found: dict[str, Any] = json.loads(REPORT.read_text(encoding="utf-8")) if only and REPORT.exists() else {}
    found |= {"at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": platform.platform(), "commit": commit()}
    for name, run in BENCHMARKS.items():
        if only in ("", name):
            found[name] = run(history, console)
            _show(name, found[name])
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _show(title: str, figures: dict[str, Any]) -> None:
    table = Table("measured", "rival", "ratio", "spread", "goal", title=title)
    for name, row in figures["ratios"].items():
        spread = f"{row['low']:.2f} to {row['high']:.2f}"
        table.add_row(name, row["rival"], f"{row['ratio']:.2f}", spread, row["goal"])
    console.print(table)
    for sentence in figures.get("notes", []):
        console.print(sentence)


if __name__ == "__main__":
    typer.run(main)
