"""What the `housekeeping` commands of the packages do alike: each removes what is too old of its own stores."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from meteo.errors import Conflict
from meteo.runtime import job
from meteo.runtime.job_metrics import Reading
from meteo.runtime.settings import Settings


def run(package: str, settings: Settings, work: Callable[[], Mapping[str, int]]) -> None:
    """A job whose `work` says of each store how many rows or files went, or how many bytes. Where it would disturb
    another job, what is too old waits for the next day."""

    def summary() -> dict[str, Any]:
        try:
            return {"removed": dict(work())}
        except Conflict as conflict:
            return {"removed": {}, "postponed": conflict.detail}

    job.run(f"{package} housekeeping", settings, summary, _readings)


def remove_files(folder: Path, before: datetime) -> int:
    """Remove the files below a folder that were last written before an instant, and folders that are empty then; how
    many files."""
    old = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_mtime < before.timestamp()]
    for path in old:
        path.unlink()
        for parent in path.relative_to(folder).parents[:-1]:
            if not any((folder / parent).iterdir()):
                (folder / parent).rmdir()
    return len(old)


def _readings(summary: job.Summary) -> Iterable[Reading]:
    for store, count in summary["removed"].items():
        yield Reading("meteo_housekeeping_removed", "What the last housekeeping removed", count, {"store": store})
