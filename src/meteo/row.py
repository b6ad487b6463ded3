"""What a station's own row says: the readings and what is derived from them.

Pure numpy: no pandas, no state. A missing input makes exactly the quantities that need it NaN.
"""

import numpy as np
from numpy.typing import NDArray

from meteo.observation import FIELDS, RAIN_THRESHOLD_MM, Floats, Observations
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

_PLACES = {name: (place.latitude, place.longitude, place.elevation_m) for name, place in stations().items()}


def rain_today(observations: Observations) -> Floats:
    """1.0 where more than 1.0 mm fell in the 24 h to 9am, 0.0 where not, NaN where unknown, (n,)."""
    rainfall = observations.column("rainfall")
    return np.where(np.isnan(rainfall), np.nan, rainfall > RAIN_THRESHOLD_MM)


def columns(observations: Observations, rained: Floats | None = None) -> Floats:
    """The row's part of X, (n, len(NAMES)).

    `rained` (n,) says whether it rained where that is known without an amount; by default it follows from rainfall.
    """
    value = observations.column
    found = [value(field.name) for field in FIELDS if not field.compass]
    for _, direction, speed in _WINDS:
        found += wind_components(value(direction), value(speed))
    found += [value(f"{name}_3pm") - value(f"{name}_9am") for name in _CHANGES]
    found.append(value("max_temp") - value("min_temp"))
    found += [dew_point(value(f"temp_{hour}"), value(f"humidity_{hour}")) for hour in ("9am", "3pm")]
    found.append(rain_today(observations) if rained is None else rained)
    angle = season_angle(observations.day)
    found += [np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle)]
    places = np.array([_PLACES[name] for name in observations.station.tolist()]).reshape(-1, 3)
    return np.column_stack([*found, places])


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
