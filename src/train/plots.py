"""A backtest's report as pictures: reliability, skill by station, skill by month."""

from pathlib import Path
from typing import Any

import matplotlib as mpl


def draw(report: dict[str, Any], folder: Path) -> None:
    """Write reliability.png, by-station.png and by-month.png."""
    mpl.use("agg")
    from matplotlib import pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    bins = report["reliability"]
    figure, (top, below) = plt.subplots(2, 1, figsize=(5, 6.5), height_ratios=(3, 1), sharex=True)
    top.plot([0, 1], [0, 1], color="0.7")
    top.plot([row["forecast"] for row in bins], [row["observed"] for row in bins], marker="o")
    top.set(ylabel="observed frequency", title="Reliability on days the model never saw", aspect="equal")
    below.bar([row["forecast"] for row in bins], [row["n"] for row in bins], width=0.06)
    below.set(xlabel="forecast probability", ylabel="forecasts", yscale="log")
    _save(figure, folder / "reliability.png")

    by_station = sorted(report["by_station"].items(), key=lambda item: item[1]["brier_skill"])
    figure, axes = plt.subplots(figsize=(5, 8.5))
    axes.barh([name for name, _ in by_station], [scores["brier_skill"] for _, scores in by_station])
    axes.set(xlabel="Brier skill against the station's climatology", xlim=(0, 1))
    axes.tick_params(axis="y", labelsize=7)
    axes.margins(y=0.01)
    _save(figure, folder / "by-station.png")

    months = sorted(report["by_month"].items(), key=lambda item: int(item[0]))
    figure, axes = plt.subplots(figsize=(5, 3))
    axes.bar([name for name, _ in months], [scores["brier_skill"] for _, scores in months])
    axes.set(xlabel="month", ylabel="Brier skill", ylim=(0, 1))
    _save(figure, folder / "by-month.png")


def _save(figure: Any, path: Path) -> None:
    from matplotlib import pyplot as plt

    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)
