"""The honest figure on real history: trained before July 2015, scored on the two years after."""

import json
import os
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SPLIT = ["TRAIN_END=2015-06-30", "TEST_START=2015-07-01", "TEST_END=2017-06-25"]


def backtest(history: Path, *more: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("METEO_", "MAKE"))}
    return subprocess.run(
        ["make", "backtest", f"HISTORY={history}", *more], cwd=REPOSITORY, env=environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_the_model_reaches_its_skill_on_days_it_never_saw(history: Path, tmp_path: Path) -> None:
    report = tmp_path / "backtest.json"
    done = backtest(history, *SPLIT, f"REPORT={report}")
    assert done.returncode == 0, done.stderr
    found = json.loads(report.read_text())
    model, baselines = found["model"], found["baselines"]
    assert model["auc"] >= 0.917
    assert model["brier"] <= 0.0895
    assert model["ece"] <= 0.010
    assert model["n"] == 34_650
    assert model["base_rate"] == pytest.approx(0.222, abs=0.001)
    assert baselines["logistic"]["brier"] > model["brier"] + 0.01
    assert baselines["climatology"]["auc"] < baselines["logistic"]["auc"] < model["auc"]
    assert len(found["by_station"]) == 49
    for situation, auc, ece in (("five fields", 0.86, 0.02), ("9am readings", 0.82, 0.02),
                                ("after 9am, neighbours likewise", 0.82, 0.02),
                                ("after 3pm, neighbours likewise", 0.90, 0.015)):  # fmt: skip
        assert found["situations"][situation]["auc"] >= auc
        assert found["situations"][situation]["ece"] <= ece
    skill = {name: scores["brier_skill"] for name, scores in found["by_station"].items()}
    assert min(skill.values()) > 0.2
    assert set(found["by_year"]) == {"2015", "2016", "2017"}


def test_a_history_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = backtest(tmp_path / "nowhere.csv", *SPLIT)
    assert done.returncode != 0
    assert "does not exist" in done.stderr
