"""In a child: the history's store, a model trained on it as the product would, and one stored day to ask about."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from meteo.archive.store import ObservationStore
from meteo.features.matrix import FEATURE_NAMES
from meteo.features.neighbours import Surroundings
from meteo.forecasts.prediction_log import PredictionLog
from meteo.models.card import CARD
from meteo.models.explanations import BOOSTER
from meteo.observation import Observations
from meteo.runtime.database import connect
from meteo.runtime.settings import Settings
from meteo.schemas.forecasts import PredictRequest
from train.backtest import dataset_of
from train.fit import Recipe, fit

DAY, STATION = date(2016, 6, 1), "Sydney"


def main(history: Path, home: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "ingest", "--source", "file", "--path", str(history)],
        env={**os.environ, "METEO_HOME": str(home)},
        check=True,
    )
    store = ObservationStore(connect(f"sqlite:///{home / 'observations.db'}"))
    PredictionLog(connect(f"sqlite:///{home / 'predictions.db'}")).create()
    train = Settings().train
    recipe = Recipe(train.kind, train.params, train.seed, train.masked_share, train.minimum_rows)
    dataset = dataset_of(store.window(), date(2015, 6, 30), date(2015, 7, 1), date(2017, 6, 25))
    model = fit(dataset, recipe, "history", "", lambda _: None)

    fresh = home / "models" / "fresh"
    fresh.mkdir(parents=True)
    model.save(fresh)
    digest = hashlib.sha256((fresh / CARD).read_bytes()).hexdigest()
    place = f"1-{digest[:16]}"
    shutil.move(fresh, home / "models" / place)
    (home / "models" / "served").write_text(place, encoding="utf-8")
    (home / "rival.ubj").write_bytes(model.files[BOOSTER])

    around = store.window(DAY - timedelta(days=1), DAY)
    row: Observations = around[(around.station == STATION) & (around.day == np.datetime64(DAY, "D"))]
    matrix = model.matrix(row, Surroundings.of(around))
    filled = np.nan_to_num(matrix, nan=0.0)  # not every rival's protocol can carry a missing value
    known = {name: value for name, value in row.items()[0].items() if value is not None}
    request = {"station": STATION, "date": DAY.isoformat(), "observation": known}
    PredictRequest.model_validate_json(json.dumps(request))
    asked = {
        "request": request,
        "names": list(FEATURE_NAMES),
        "filled": [float(value) for value in filled[0]],
        "probability": float(model.probability(matrix)[0]),
        "filled_probability": float(model.probability(filled)[0]),
    }
    (home / "asked.json").write_text(json.dumps(asked), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
