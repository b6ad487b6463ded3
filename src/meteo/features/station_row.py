"""What a station's own row says: the readings and what is derived from them.

Pure numpy: no pandas, no state. A missing input makes exactly the quantities that need it NaN.
"""

import numpy as np
from numpy.typing import NDArray

from meteo.observation import FIELDS, INDEX, RAIN_THRESHOLD_MM, Floats, Observations
from meteo.station import stations

_CHANGES = ("temp", "humidity", "pressure", "cloud", "wind_speed")
_WINDS = (("gust", "wind_gust_dir", "wind_gust_speed"), ("9am", "wind_dir_9am", "wind_speed_9am"),
          ("3pm", "wind_dir_3pm", "wind_speed_3pm"))  # fmt: skip

NAMES = (
    *(field.name for field in FIELDS if not field.compass),
    *(f"{part}_{name}" for name, _, _ in _WINDS for part in ("wind_u", "wind_v")),
    *(f"{name}_change" for name in _CHANGES),
    "temp_range",
    "dew_point_9am",
    "dew_point_3pm",
    "rain_today",
    "season_sin",
    "season_cos",
    "season_sin2",
    "season_cos2",
    "latitude",
    "longitude",
    "elevation_m",
)
"""Column names, in order."""

STATIONS = tuple(stations())
_HARMONICS = np.array([1.0, 2.0])
PLACE = {name: place for place, name in enumerate(STATIONS)}
_WHERE = np.array([(place.latitude, place.longitude, place.elevation_m) for place in stations().values()])


def _fields(*names: str) -> NDArray[np.intp]:
    return np.array([INDEX[name] for name in names])


_READINGS = _fields(*(field.name for field in FIELDS if not field.compass))
_FROM, _SPEED = _fields(*(name for _, name, _ in _WINDS)), _fields(*(name for _, _, name in _WINDS))
_EARLY, _LATE = (_fields(*(f"{name}_{hour}" for name in _CHANGES)) for hour in ("9am", "3pm"))
_TEMPERATURE, _HUMIDITY = (_fields(f"{name}_9am", f"{name}_3pm") for name in ("temp", "humidity"))
_STARTS = ("wind_u_gust", "temp_change", "temp_range", "dew_point_9am", "rain_today", "season_sin", "latitude")
_U, _CHANGE, _RANGE, _DEW, _RAINED, _SEASON, _POSITION = (NAMES.index(name) for name in _STARTS)


def rain_today(observations: Observations) -> Floats:
    """1.0 where more than 1.0 mm fell in the 24 h to 9am, 0.0 where not, NaN where unknown, (n,)."""
    rainfall = observations.column("rainfall")
    return np.where(np.isnan(rainfall), np.nan, rainfall > RAIN_THRESHOLD_MM)


def columns(observations: Observations, rained: Floats | None = None) -> Floats:
    """The row's part of X, (n, len(NAMES)).

    `rained` (n,) says whether it rained where that is known without an amount; by default it follows from rainfall.
    """
    values = observations.values
    part = np.empty((len(values), len(NAMES)))
    part[:, :_U] = values[:, _READINGS]
    part[:, _U:_CHANGE:2], part[:, _U + 1 : _CHANGE : 2] = wind_components(values[:, _FROM], values[:, _SPEED])
    part[:, _CHANGE:_RANGE] = values[:, _LATE] - values[:, _EARLY]
    part[:, _RANGE] = values[:, INDEX["max_temp"]] - values[:, INDEX["min_temp"]]
    part[:, _DEW:_RAINED] = dew_point(values[:, _TEMPERATURE], values[:, _HUMIDITY])
    part[:, _RAINED] = rain_today(observations) if rained is None else rained
    angle = season_angle(observations.day)[:, None] * _HARMONICS
    part[:, _SEASON:_POSITION:2], part[:, _SEASON + 1 : _POSITION : 2] = np.sin(angle), np.cos(angle)
    part[:, _POSITION:] = _WHERE[places(observations.station)]
    return part


def places(station: NDArray[np.str_]) -> NDArray[np.intp]:
    """Each station's place in STATIONS, (n,)."""
    return np.array([PLACE[name] for name in station.tolist()], dtype=np.intp)


def wind_components(sector: Floats, speed: Floats) -> tuple[Floats, Floats]:
    """Eastward and northward wind, km/h, from where it blows (sector 0..15) and how fast. Calm is (0, 0)."""
    angle = sector * (np.pi / 8)
    calm = speed == 0
    return np.where(calm, 0.0, -speed * np.sin(angle)), np.where(calm, 0.0, -speed * np.cos(angle))


def dew_point(temperature: Floats, humidity: Floats) -> Floats:
    """Dew point, °C, by Magnus' formula with Alduchov and Eskridge's (1996) coefficients; humidity in %.

    A reported 0 % is read as 1 %: the logarithm has no value there.
    """
    gamma = np.log(np.maximum(humidity, 1.0) / 100) + 17.625 * temperature / (243.04 + temperature)
    return 243.04 * gamma / (17.625 - gamma)


def season_angle(day: NDArray[np.datetime64]) -> Floats:
    """The day's place in the year as an angle, (n,) radians."""
    new_year = day.astype("datetime64[Y]").astype("datetime64[D]")
    angle: Floats = (day - new_year).astype(float) * (2 * np.pi / 365.25)
    return angle
