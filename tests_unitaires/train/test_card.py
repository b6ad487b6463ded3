import numpy as np
import pytest

from train.card import holdout, markdown
from train.dataset import Dataset
from train.fit import Recipe, fit


def test_the_holdout_is_looked_at_by_chance_by_station_and_by_feature(dataset: Dataset, recipe: Recipe) -> None:
    model = fit(dataset, recipe, "d" * 32, "c" * 40, lambda _: None)
    found = holdout(model, dataset)
    chance, wet = model.probability(dataset.test.matrix), dataset.test.label
    assert sum(row["n"] for row in found.reliability) == len(wet)
    assert sum(row["n"] * row["observed"] for row in found.reliability) == pytest.approx(wet.sum())
    assert sum(row["n"] * row["forecast"] for row in found.reliability) == pytest.approx(chance.sum())
    low, high = found.intervals["brier"]
    assert low < model.card.metrics["brier"] < high
    station, scores = next(iter(found.stations.items()))
    here = dataset.test.observations.station == station
    assert scores["n"] == here.sum()
    assert scores["brier"] == pytest.approx(np.mean((chance[here] - wet[here]) ** 2))
    assert tuple(found.importance) == model.card.features
    assert max(found.importance, key=found.importance.__getitem__).startswith("humidity"), (
        "rain follows humid days here"
    )


def test_the_card_for_people_tells_what_was_found(dataset: Dataset, recipe: Recipe) -> None:
    model = fit(dataset, recipe, "d" * 32, "c" * 40, lambda _: None)
    with pytest.raises(ValueError, match="no holdout"):
        markdown(model, dataset)
    model.card.holdout = holdout(model, dataset)
    text = markdown(model, dataset)
    low, high = model.card.holdout.intervals["roc_auc"]
    assert f"roc_auc {low:.4f} to {high:.4f}" in text
    weakest = min(model.card.holdout.stations.items(), key=lambda entry: entry[1]["brier_skill"])[0]
    assert text.split("## Where it is weakest")[1].split("| --- | --- | --- |\n")[1].startswith(f"| {weakest} |")
