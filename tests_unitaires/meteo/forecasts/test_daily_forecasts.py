"""The prediction log summed up: on both databases the same as row by row, in memory that does not grow with it."""

import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import Engine, func, insert, select, text

from meteo.archive.ingestions import STORED, FileRecord
from meteo.archive.merge import Batch
from meteo.archive.store import ObservationStore
from meteo.features.climatology import Climate
from meteo.forecasts import verification
from meteo.forecasts.daily_forecasts import forecasts, forget, forget_days
from meteo.forecasts.live_quality import Quality, quality
from meteo.forecasts.prediction_log import SMOKE_TEST, PredictionLog, Record
from meteo.forecasts.tables import DAILY_FORECASTS, PREDICTIONS
from meteo.observation import Observations
from meteo.runtime.database import connect, writing

Build = Callable[..., Observations]
NINE = datetime(2024, 1, 1, 22, tzinfo=UTC)
"""9am on the 2nd in Sydney, where the period of the 1st ends."""
FIRST, DAYS = date(2024, 1, 1), 40


@pytest.fixture
def both(database: str) -> Iterator[tuple[Engine, ObservationStore]]:
    """A log and a store, both empty."""
    engine = connect(database)
    store = ObservationStore(engine)
    store.create()
    PredictionLog(engine).create()
    yield engine, store
    engine.dispose()


def record(number: int, **known: object) -> Record:
    first = Record(f"p{number}", NINE - timedelta(hours=1), "r", "ann", "Sydney", FIRST, {}, 0.5, 0.5, True, "1")
    return replace(first, **known)  # type: ignore[arg-type]


def log(engine: Engine, records: Sequence[Record]) -> None:
    with writing(engine) as connection:
        connection.execute(insert(PREDICTIONS), [vars(known) for known in records])


def store_rain(store: ObservationStore, observations: Observations, source: str) -> None:
    run = store.ingestions.begin(source, {})
    store.upsert(run.id, FileRecord("f", STORED, source, "[]", 1), [Batch(observations, "weatherAUS")])


def count(engine: Engine, store: ObservationStore) -> int:
    return int(forecasts(engine, store, None, None).n.sum())


@pytest.mark.parametrize(("source", "counted"), [("file", 1), ("demo", 2)])
def test_what_is_asked_when_its_period_is_over_is_no_forecast_unless_days_are_simulated(
    both: tuple[Engine, ObservationStore], rows: Build, source: str, counted: int
) -> None:
    engine, store = both
    store_rain(store, rows(("Perth", "2020-01-01", {"rainfall": 1})), source)
    log(engine, [record(minutes, made_at=NINE + timedelta(minutes=minutes)) for minutes in (-1, 0)])
    assert count(engine, store) == counted


def test_what_is_asked_when_its_rain_is_stored_is_no_forecast(
    both: tuple[Engine, ObservationStore], rows: Build
) -> None:
    engine, store = both
    now = datetime.now(UTC)
    log(engine, [record(1, made_at=now - timedelta(days=1)), record(2, made_at=now + timedelta(days=1))])
    store_rain(store, rows(("Perth", "2024-01-02", {"rainfall": 1})), "demo")
    assert count(engine, store) == 2
    store_rain(store, rows(("Sydney", "2024-01-02", {"rainfall": 1})), "demo")
    assert count(engine, store) == 1


def test_what_the_smoke_test_asks_is_nobodys_forecast(both: tuple[Engine, ObservationStore]) -> None:
    engine, store = both
    log(engine, [record(1), record(2, subject=SMOKE_TEST)])
    assert count(engine, store) == 1


def test_the_outcome_is_the_rain_of_the_day_after(both: tuple[Engine, ObservationStore], rows: Build) -> None:
    engine, store = both
    log(engine, [record(day, day=date(2024, 1, day)) for day in (1, 2, 3, 4)])
    fell = rows(("Sydney", "2024-01-01", {"rainfall": 50}), ("Sydney", "2024-01-02", {"rainfall": 1.0}),
                ("Sydney", "2024-01-03", {"rainfall": 1.2}), ("Sydney", "2024-01-04", {"temp_3pm": 20}))  # fmt: skip
    store_rain(store, fell, "demo")
    np.testing.assert_array_equal(forecasts(engine, store, None, None).outcome, [0, 1, np.nan, np.nan])
    assert forecasts(engine, store, date(2024, 1, 2), date(2024, 1, 3)).day.tolist() == [
        date(2024, 1, 2), date(2024, 1, 3),
    ]  # fmt: skip


def served(rows: Build, store: ObservationStore, engine: Engine, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Put `n` forecasts of two stations into the log, then what fell; their chances and outcomes."""
    dice = np.random.default_rng(0)
    rate = dice.beta(0.6, 2, (2, DAYS + 1))
    place, day = dice.integers(0, 2, n), dice.integers(0, DAYS, n)
    probability = (rate[place, day + 1] + dice.normal(0, 0.03, n)).clip(0.004, 0.996).round(4)
    log(engine, [
        record(row, station=("Perth", "Sydney")[place[row]], day=FIRST + timedelta(days=int(day[row])),
               probability=float(probability[row]))
        for row in range(n)
    ])  # fmt: skip
    wet = dice.uniform(size=(2, DAYS + 1)) < rate
    fell = rows(*(
        (name, FIRST + timedelta(days=number), {"rainfall": 9.0 if wet[station, number] else 0.0})
        for station, name in enumerate(("Perth", "Sydney")) for number in range(DAYS + 1)
    ))  # fmt: skip
    store_rain(store, fell, "demo")
    return probability, wet[place, day + 1].astype(float)


def test_the_scores_are_those_of_all_rows_and_stay_so_when_these_are_removed(
    both: tuple[Engine, ObservationStore], rows: Build, even_climate: Callable[[float], Climate]
) -> None:
    engine, store = both
    probability, outcome = served(rows, store, engine, 3000)
    before = quality(forecasts(engine, store, None, None), 1, lambda _: even_climate(0.2))
    (found,) = before
    assert (found.predictions, found.outcomes) == (3000, 3000)
    assert found.brier == pytest.approx(verification.brier(outcome, probability))
    assert found.expected_brier == pytest.approx(float(np.mean(probability * (1 - probability))))
    assert found.roc_auc == pytest.approx(verification.roc_auc(outcome, probability) or 0, abs=1e-3)
    assert found.log_loss == pytest.approx(verification.log_loss(outcome, probability), abs=2e-3)
    for (n, said, happened), (m, told, fell) in zip(
        found.reliability, verification.reliability(outcome, probability), strict=True
    ):
        assert (n, said, happened) == pytest.approx((m, told, fell))
    with engine.begin() as connection:
        connection.execute(PREDICTIONS.update().where(PREDICTIONS.c.day < date(2024, 1, 20)).values(made_at=NINE))
    assert 0 < forget(engine, store, NINE - timedelta(seconds=1)) < 3000
    assert _same(quality(forecasts(engine, store, None, None), 1, lambda _: even_climate(0.2)), before)
    with engine.begin() as connection:
        assert 0 < (connection.scalar(select(func.count()).select_from(PREDICTIONS)) or 0) < 3000
    forget(engine, store, NINE + timedelta(days=1))
    assert _same(quality(forecasts(engine, store, None, None), 1, lambda _: even_climate(0.2)), before)
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(PREDICTIONS)) == 0
    kept = forget_days(engine, FIRST + timedelta(days=DAYS // 2))
    assert kept > 0
    assert count(engine, store) < 3000
    assert forget_days(engine, date(2100, 1, 1)) > 0
    assert count(engine, store) == 0


def _same(found: list[Quality], other: list[Quality]) -> bool:
    plain = [{name: value for name, value in vars(scores).items() if name != "reliability"}
             for scores in (*found, *other)]  # fmt: skip
    return bool(plain[0] == pytest.approx(plain[1]))


def test_hindsight_is_removed_without_a_trace(both: tuple[Engine, ObservationStore]) -> None:
    engine, store = both
    log(engine, [record(1, made_at=NINE), record(2), record(3, subject=SMOKE_TEST)])
    assert forget(engine, store, NINE + timedelta(days=400)) == 3
    with engine.connect() as connection:
        assert connection.scalars(select(DAILY_FORECASTS.c.n)).all() == [1]
    log(engine, [record(4, probability=0.501)])
    assert forget(engine, store, NINE + timedelta(days=400)) == 1
    with engine.connect() as connection:
        (row,) = connection.execute(select(DAILY_FORECASTS)).all()
    assert (row.n, row.probability, row.squared) == (2, pytest.approx(1.001), pytest.approx(0.25 + 0.501**2))


def test_the_answer_takes_no_more_memory_for_many_predictions_than_for_a_few(
    both: tuple[Engine, ObservationStore], rows: Build, even_climate: Callable[[float], Climate]
) -> None:
    engine, store = both
    served(rows, store, engine, 2000)
    names = ", ".join(column.name for column in PREDICTIONS.columns if column.name != "prediction_id")
    with writing(engine) as connection:
        for doubling in range(6):
            connection.execute(
                text(
                    f"INSERT INTO predictions (prediction_id, {names}) "  # noqa: S608
                    f"SELECT prediction_id || 'x{doubling}', {names} FROM predictions"
                )
            )
    tracemalloc.start()
    (found,) = quality(forecasts(engine, store, None, None), 1, lambda _: even_climate(0.2))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.outcomes == 128_000
    assert peak < 10_000_000
