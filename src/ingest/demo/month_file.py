"""Rows of the schema -> a month file in BOM's format, as far as the month has come at the station."""

from datetime import date, datetime, time

import numpy as np

from meteo.observation import FIELDS, Observations, compass_name
from meteo.station import Station

NINE, THREE = time(9, 10), time(15, 10)
"""When the readings of 9am and 3pm are in."""

_BY_MORNING = {"min_temp", "rainfall", "evaporation"}
_UNIT = {"": "", "°C": " (°C)", "mm": " (mm)", "h": " (hours)", "km/h": " (km/h)", "%": " (%)", "oktas": " (oktas)",
         "hPa": " (hPa)"}  # fmt: skip


def visible(rows: Observations, now: datetime) -> Observations:
    """What has been observed by the local time `now` of one station's complete rows.

    Today's row has the morning's values from 9:10 and the afternoon's from 15:10; maximum, gust and sunshine come
    with the next day.
    """
    today = np.datetime64(now.date(), "D")
    if now.time() < NINE:
        return rows[rows.day < today]
    values = rows.values.copy()
    known = _BY_MORNING | {field.name for field in FIELDS if field.block == "9am"}
    if now.time() >= THREE:
        known |= {field.name for field in FIELDS if field.block == "3pm"}
    unknown = np.array([field.name not in known for field in FIELDS])
    values[np.ix_(rows.day == today, unknown)] = np.nan
    return Observations(rows.station, rows.day, values)[rows.day <= today]


def prepared(month: date, now: datetime) -> datetime:
    """When the month's file changed last: at midnight, at 9:10 and at 15:10, until the month is over."""
    today = datetime.combine(now.date(), time(), now.tzinfo)
    latest = max(today.replace(hour=at.hour, minute=at.minute) for at in (time(), NINE, THREE) if at <= now.time())
    over = datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=now.tzinfo)
    return min(latest, over)


def month_file(station: Station, month: date, rows: Observations, now: datetime) -> bytes:
    """The file's bytes: latin-1, CRLF, no final newline, and a preamble that says what it is."""
    made = prepared(month, now)
    header = ["Date", *(f"{field.bom}{_UNIT[field.unit]}" for field in FIELDS)]
    header[header.index("Direction of maximum wind gust")] += " "
    header.insert(8, "Time of maximum wind gust")
    lines = [
        f'"SIMULATED Daily Weather Observations for {station.name}, {station.state} for {month:%B %Y}"',
        f'"Prepared at {made:%H:%M} on {made:%A} {made.day} {made:%B %Y}   {station.bom_product}.{month:%Y%m}"',
        '"DEMO DATA: not observed and not from the Bureau of Meteorology"',
        '"Made by a stochastic weather generator fitted on real history; the file format is the Bureau\'s."',
        "",
        "," + ",".join(f'"{name}"' for name in header),
        *(_line(day, values) for day, values in zip(rows.day.tolist(), rows.values, strict=True)),
    ]
    return "\r\n".join(lines).encode("latin-1")


def _line(day: date, values: np.ndarray) -> str:
    cells = [_cell(index, values) for index in range(len(FIELDS))]
    gust = values[6]
    cells.insert(7, "" if np.isnan(gust) else f"{int(gust * 7) % 24:02d}:{int(gust * 13) % 60:02d}")
    return f",{day:%Y-%m}-{day.day},{','.join(cells)}"


def _cell(index: int, values: np.ndarray) -> str:
    field, value = FIELDS[index], values[index]
    mean_wind = field.name.startswith("wind_") and field.block != "day"
    if mean_wind and values[index + 1 if field.compass else index] == 0:
        return " " if field.compass else "Calm"
    if np.isnan(value):
        return ""
    if field.compass:
        return compass_name(value)
    if field.name == "rainfall" and value == 0:
        return "0"
    whole = field.unit in ("%", "oktas", "km/h")
    return f"{value:.0f}" if whole else f"{value:.1f}"
