"""Measuring alike: in fresh processes, in turns, so that what else the machine does hits both sides."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Any


def in_turns(times: int, **measured: Callable[[], float]) -> dict[str, list[float]]:
    """Seconds of each, measured `times` times in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(times):
        for name, measure in measured.items():
            seconds[name].append(measure())
    return seconds


def ratio(ours: list[float], rivals: list[float], rival: str, goal: str, unit: str = "seconds") -> dict[str, Any]:
    """The median of the paired ratios, with the least and the greatest."""
    each = sorted(own / other for own, other in zip(ours, rivals, strict=True))
    return {
        "ratio": round(median(each), 3),
        "low": round(each[0], 3),
        "high": round(each[-1], 3),
        "rival": rival,
        "goal": goal,
        unit: [round(value, 3) for value in ours],
        f"rival_{unit}": [round(v, 3) for v in rivals],
    }


def child(script: str, *arguments: object) -> dict[str, float]:
    """Run `python benchmarks/SCRIPT ARGUMENTS`; what its last line says."""
    command = [sys.executable, str(Path(__file__).with_name(script)), *(str(argument) for argument in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def seconds_of(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def report(work: Callable[[], object], more: Mapping[str, float] = MappingProxyType({})) -> None:
    """In a child: time `work`, and say it with the process's greatest memory before and after, and what `work` put into
    `more`."""
    before = _peak_mb()
    seconds = seconds_of(work)
    print(json.dumps({"seconds": seconds, "mb_before": before, "mb": _peak_mb(), **more}))


def commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
