"""`python -m ingest.demo.fit HISTORY`: fit the weather generator's figures on weatherAUS.csv(.gz)."""

import sys
from pathlib import Path

import numpy as np
from scipy.stats import norm, rankdata

from ingest.demo.climate import PATH, RAIN, SCORES, VARIABLES, Climate, harmonics
from ingest.parser import read_file
from meteo.features.station_row import season_angle, wind_components
from meteo.observation import INDEX, RAIN_THRESHOLD_MM, Floats, Observations
from meteo.station import stations

PATTERNS = 60
FIRST_DAY = np.datetime64("2008-12-01")
"""From here on nearly all stations report."""


def fit(observations: Observations, patterns: int = PATTERNS) -> Climate:
    """Figures of a generator whose days look like the observed ones."""
    names = np.array(sorted(stations()))
    days = np.arange(FIRST_DAY, observations.day.max() + 1)
    series = _series(observations, names, days)
    waves = harmonics(season_angle(days))
    shape = (len(names), len(VARIABLES))
    mean, spread = np.zeros((*shape, waves.shape[1])), np.zeros((*shape, waves.shape[1]))
    quantiles, wet = np.zeros((*shape, len(SCORES))), np.zeros((len(names), waves.shape[1]))
    scores = np.zeros((len(days), *shape))
    generator = np.random.default_rng(0)
    for place in range(shape[0]):
        for variable in range(shape[1]):
            values = series[:, place, variable]
            if np.isfinite(values).sum() < 200:
                values = _mean_of_all(series[:, :, variable])
            if variable == RAIN:
                wet[place], quantiles[place, variable], scores[:, place, variable] = _rain(values, waves, generator)
            else:
                fitted = _series_figures(values, waves)
                mean[place, variable], spread[place, variable], quantiles[place, variable] = fitted[:3]
                scores[:, place, variable] = fitted[3]
    dry = (series[:, :, RAIN] <= _DROP_MM) & np.isfinite(series[:, :, RAIN])
    unknown = ~np.isfinite(series)
    _order_dry(scores, dry)
    for _ in range(_ROUNDS):
        _fill_unknown(scores, unknown, patterns, generator)
        _redraw_dry(scores, dry, waves @ wet.T, patterns, generator)
    flat = scores.reshape(len(days), -1)
    missing = 1 - np.array(
        [[np.isfinite(_field(observations, name, field)).mean() for field in range(_FIELDS)] for name in names]
    )
    return Climate(names, mean, spread, quantiles, wet, **_dynamics(flat, patterns, shape), missing=missing)


_ROUNDS = 1
"""One round gives the observed persistence and correlations with rain; more drift to weaker ones."""

_DROP_MM = RAIN_THRESHOLD_MM / 5
_FIELDS = Observations.empty().values.shape[1]


def _field(observations: Observations, name: str, field: int) -> Floats:
    column: Floats = observations.values[observations.station == name, field]
    return column


def _series(observations: Observations, names: np.ndarray, days: np.ndarray) -> Floats:
    """(days, stations, VARIABLES), NaN where not observed; rainfall is moved to the day on which it began to fall."""
    series = np.full((len(days), len(names), len(VARIABLES)), np.nan)
    row = (observations.day - days[0]).astype(int)
    place = np.searchsorted(names, observations.station)
    inside = row >= 0
    value = observations.column
    winds = {
        "gust": wind_components(value("wind_gust_dir"), value("wind_gust_speed")),
        "wind_9am": wind_components(value("wind_dir_9am"), value("wind_speed_9am")),
        "wind_3pm": wind_components(value("wind_dir_3pm"), value("wind_speed_3pm")),
    }
    for index, name in enumerate(VARIABLES):
        column = value(name) if name in INDEX else winds[name.replace("_u", "").replace("_v", "")]["_v" in name]
        back = 1 if index == RAIN else 0
        kept = inside & (row - back >= 0)
        series[row[kept] - back, place[kept], index] = column[kept]
    return series


def _mean_of_all(values: Floats) -> Floats:
    """The mean over the stations that report, (days,), for one that does not; NaN on days when none does."""
    known = np.isfinite(values)
    total = np.where(known, values, 0).sum(axis=1)
    return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)


def _series_figures(values: Floats, waves: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    known = np.isfinite(values)
    mean = np.linalg.lstsq(waves[known], values[known], rcond=None)[0].astype(float)
    rest = values - waves @ mean
    spread = np.linalg.lstsq(waves[known], np.abs(rest[known]) * np.sqrt(np.pi / 2), rcond=None)[0].astype(float)
    standard = rest / np.maximum(waves @ spread, 1e-3)
    quantiles: Floats = np.quantile(standard[known], norm.cdf(SCORES))
    scores = np.zeros(len(values))
    scores[known] = norm.ppf((rankdata(standard[known]) - 0.5) / known.sum())
    return mean, spread, quantiles, scores


def _rain(values: Floats, waves: Floats, generator: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """The wet threshold's harmonics, the amounts' quantiles, and scores: of a dry day a random one below."""
    known = np.isfinite(values)
    fell = values > _DROP_MM
    share = np.clip(waves @ np.linalg.lstsq(waves[known], fell[known].astype(float), rcond=None)[0], 0.005, 0.95)
    threshold = np.linalg.lstsq(waves, norm.ppf(1 - share), rcond=None)[0]
    amounts = values[known & fell]
    scores = np.zeros(len(values))
    dry = known & ~fell
    scores[dry] = norm.ppf(generator.uniform(0.001, 1, dry.sum()) * (1 - share[dry]))
    place = (rankdata(amounts) - 0.5) / len(amounts)
    scores[known & fell] = norm.ppf(1 - share[known & fell] * (1 - place))
    return threshold, np.quantile(amounts, norm.cdf(SCORES)), scores


def _order_dry(scores: Floats, dry: np.ndarray) -> None:
    """Begin with the dry days' rain scores in the order of how wet their weather looks, nearest to what is drawn."""
    for place in range(scores.shape[1]):
        own = np.column_stack([np.ones(len(scores)), np.delete(scores[:, place], RAIN, axis=1)])
        days = dry[:, place]
        looks_wet = own @ np.linalg.lstsq(own, (~days).astype(float), rcond=None)[0]
        drawn = scores[days, place, RAIN]
        scores[days, place, RAIN] = np.sort(drawn)[np.argsort(np.argsort(looks_wet[days]))]


def _fill_unknown(scores: Floats, unknown: np.ndarray, patterns: int, generator: np.random.Generator) -> None:
    """Draw unobserved scores given the day's patterns: left at their mean they would hide how series go together."""
    flat, gaps = scores.reshape(len(scores), -1), unknown.reshape(len(scores), -1)
    axes = np.linalg.svd(flat, full_matrices=False)[2][:patterns]
    expected = (flat @ axes.T) @ axes
    rest = np.where(gaps, 0, flat - expected)
    noise = np.sqrt((rest**2).sum(axis=0) / np.maximum((~gaps).sum(axis=0), 1))
    drawn = expected + noise * generator.standard_normal(flat.shape)
    scores[unknown] = drawn[gaps]


def _redraw_dry(
    scores: Floats, dry: np.ndarray, threshold: Floats, patterns: int, generator: np.random.Generator
) -> None:
    """Draw the dry days' rain scores anew, given that day's weather there and around: data augmentation.

    A dry day only says that the score lies below the threshold; a random one below would hide how closely rain
    follows the weather.
    """
    flat = scores.reshape(len(scores), -1)
    around = flat @ np.linalg.svd(flat, full_matrices=False)[2][:patterns].T
    for place in range(scores.shape[1]):
        own = np.delete(scores[:, place], RAIN, axis=1)
        given = np.column_stack([np.ones(len(own)), own, around])
        rain = scores[:, place, RAIN]
        expected = given @ np.linalg.lstsq(given, rain, rcond=None)[0]
        noise = (rain - expected).std()
        days = dry[:, place]
        highest = norm.cdf((threshold[days, place] - expected[days]) / noise)
        drawn = norm.ppf(np.clip(generator.uniform(size=days.sum()) * highest, 1e-6, 1 - 1e-6))
        scores[days, place, RAIN] = np.clip(expected[days] + noise * drawn, -4, threshold[days, place])


def _dynamics(scores: Floats, patterns: int, shape: tuple[int, int]) -> dict[str, Floats]:
    """Loadings, pattern dynamics and shocks, and the local residuals' memory, spread and shape."""
    _, _, axes = np.linalg.svd(scores, full_matrices=False)
    loadings = axes[:patterns].T
    factors = scores @ loadings
    before, after = factors[:-1], factors[1:]
    dynamics = np.linalg.lstsq(before, after, rcond=None)[0].T
    shocks = _root(np.cov((after - before @ dynamics.T).T))
    local = scores - factors @ loadings.T
    memory = np.clip((local[1:] * local[:-1]).mean(axis=0) / np.maximum((local**2).mean(axis=0), 1e-9), -0.9, 0.9)
    # The score of each series has variance 1: what the patterns do not explain is local.
    spread = np.sqrt(np.maximum(1 - (factors @ loadings.T).var(axis=0), 0.05))
    shapes = np.stack([_root(np.corrcoef(part.T)) for part in np.moveaxis(local.reshape(-1, *shape), 1, 0)])
    return {
        "loadings": loadings,
        "dynamics": dynamics,
        "shocks": shocks,
        "local_memory": memory,
        "local_spread": spread,
        "local_shape": shapes,
    }


def _root(covariance: Floats) -> Floats:
    values, vectors = np.linalg.eigh(covariance)
    root: Floats = vectors * np.sqrt(np.maximum(values, 0))
    return root


def main() -> None:
    """Read the history named on the command line and write climate.npz."""
    climate = fit(read_file(Path(sys.argv[1])))
    climate.save(PATH)
    sys.stdout.write(f"{PATH}: {PATH.stat().st_size // 1024} kB\n")


if __name__ == "__main__":
    main()
