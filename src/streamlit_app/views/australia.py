"""The map: every station's chance of rain at a glance, and the same as a table."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from meteo.contract import Forecast
from streamlit_app.views.common import read, told

_OUTLINE = Path(__file__).parent.parent / "australia.json"
_LABEL_DEGREES = 11.0, 1.7
"""What a label covers of longitude and latitude: where it would cover another, a station is a dot only."""


def show() -> None:
    st.title("Rain across Australia")
    with told():
        forecast = Forecast.model_validate(read("forecast"))
        places = {place["name"]: place for place in read("stations")}
        known = [each for each in forecast.stations if each.probability is not None]
        st.markdown(
            f"After **{forecast.date:%A} {forecast.date.day} {forecast.date:%B %Y}**, by the newest stored "
            f"observations of {len(known)} of {len(places)} stations; model version {forecast.model.version}."
        )
        if not known:
            st.info("No station has an observation of that day yet.")
            return
        table = pd.DataFrame({
            "station": [each.station for each in known],
            "state": [places[each.station]["state"] for each in known],
            "chance": [each.probability for each in known],
            "verdict": ["rain" if each.rain_tomorrow else "no rain" for each in known],
            "latitude": [places[each.station]["latitude"] for each in known],
            "longitude": [places[each.station]["longitude"] for each in known],
        }).sort_values("chance", ascending=False)  # fmt: skip
        left, right = st.columns([3, 2], gap="large")
        with left:
            st.altair_chart(_map(table), width="stretch")
            st.caption("More than 1.0 mm in the 24 hours to 9am. Outline: Natural Earth.")
        with right:
            st.dataframe(
                table[["station", "state", "chance", "verdict"]], hide_index=True, height=560, column_config={
                    "chance": st.column_config.ProgressColumn("chance of rain", format="percent", max_value=1)
                },
            )  # fmt: skip
        silent = sorted(set(places) - {each.station for each in known})
        if silent:
            st.caption("Nothing of that day from: " + ", ".join(silent))


def _map(table: pd.DataFrame) -> alt.LayerChart | alt.FacetChart:
    land = alt.Chart(alt.InlineData(values=[_outline()])).mark_geoshape(
        fill="#8a8f9822", stroke="#8a8f98", strokeWidth=1
    )
    points = alt.Chart(table).encode(longitude="longitude:Q", latitude="latitude:Q")
    dots = points.mark_circle(size=170, opacity=0.95, stroke="#3a3f48", strokeWidth=0.7).encode(
        color=alt.Color(
            "chance:Q", title="chance of rain", legend=alt.Legend(format="%", orient="bottom", gradientLength=220),
            scale=alt.Scale(domain=[0, 1], range=["#f3e3b3", "#7fb2d6", "#0b3c78"]),
        ),
        tooltip=["station", alt.Tooltip("chance", format=".0%"), "verdict"],
    )  # fmt: skip
    named = points.transform_filter(alt.FieldOneOfPredicate("station", _labelled(table)))
    names = named.mark_text(dy=-13, fontSize=11, color="#7a7f88").encode(text="label:N")
    names = names.transform_calculate(label="datum.station + ' ' + format(datum.chance, '.0%')")
    return alt.layer(land, dots, names).project("mercator").properties(height=560)


def _labelled(table: pd.DataFrame) -> list[str]:
    """The stations whose names do not cover each other, the wettest first."""
    chosen: list[tuple[str, float, float]] = []
    wide, high = _LABEL_DEGREES
    for name, latitude, longitude in table[["station", "latitude", "longitude"]].itertuples(index=False):
        if all(abs(latitude - y) > high or abs(longitude - x) > wide for _, y, x in chosen):
            chosen.append((name, latitude, longitude))
    return [name for name, _, _ in chosen]


@cache
def _outline() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_OUTLINE.read_text(encoding="utf-8"))
    return found
