import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from meteo.forecasts.prediction_log import PredictionLog
from meteo.forecasts.tables import DAILY_FORECASTS, PREDICTIONS
from meteo.runtime.database import connect
from monitoring.__main__ import housekeeping


@pytest.mark.usefixtures("logging_as_before")
def test_old_predictions_go_their_sums_stay_and_the_oldest_sums_go(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC).replace(hour=1)  # before 9am in Sydney the next day, whenever this runs: a forecast
    engine = connect(database)
    PredictionLog(engine).create()
    asked = {"request_id": "r", "subject": "ann", "station": "Sydney", "observation": {}, "probability": 0.5,
             "threshold": 0.5, "rain_tomorrow": True, "model_version": "1"}  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(PREDICTIONS), [
            {**asked, "prediction_id": f"p{days}", "made_at": now - timedelta(days=days),
             "day": (now - timedelta(days=days)).date()} for days in (1, 399, 401, 402)
        ])  # fmt: skip
        old = {"station": "Sydney", "model_version": "1", "bin": 1, "n": 1, "probability": 0.1, "squared": 0.01}
        connection.execute(insert(DAILY_FORECASTS), [{**old, "day": date(2010, 1, 1)}])
    monkeypatch.setattr("monitoring.__main__.runs_of", lambda *_: [])
    monkeypatch.setenv("METEO_HOME", str(tmp_path))
    address = engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("METEO_STORE__PREDICTIONS_URL", address)
    monkeypatch.setenv("METEO_STORE__OBSERVATIONS_URL", address)
    housekeeping()
    removed = json.loads(capsys.readouterr().out.splitlines()[-1])["removed"]
    assert (removed["predictions"], removed["forecast sums"]) == (2, 1)
    with engine.connect() as connection:
        assert sorted(connection.scalars(select(PREDICTIONS.c.prediction_id))) == ["p1", "p399"]
        assert connection.scalars(select(DAILY_FORECASTS.c.n)).all() == [1, 1]
    engine.dispose()
