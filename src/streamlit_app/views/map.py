"""The map: every station's chance of rain at a glance, and the same as a table."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import altair as alt
import streamlit as st

from meteo.schemas.forecasts import Forecast
from streamlit_app.context import words
from streamlit_app.ui import MUTED, Layers, chart, ink, read, show_errors, table
from streamlit_app.views.explanation import in_words

_OUTLINE = Path(__file__).parent.parent / "australia.json"
_LABEL_DEGREES = 11.0, 1.7
"""What a label covers of longitude and latitude: where it would cover another, a station is a dot only."""
_COLOURS = ["#f7e8b5", "#9ecae1", "#3182bd", "#08306b"]
_PICKED = "station"


def show() -> None:
    t = words()
    st.title(t("map.title"))
    with show_errors():
        forecast = Forecast.model_validate(read("forecast"))
        places = {place["name"]: place for place in read("stations")}
        known = sorted(
            (each for each in forecast.stations if each.probability is not None),
            key=lambda each: each.probability or 0,
            reverse=True,
        )
        st.markdown(
            t("map.after", day=t.day(forecast.date), known=len(known), all=len(places), version=forecast.model.version)
        )
        if not known:
            st.info(t("map.none"))
            return
        rows = [
            {
                "station": each.station,
                "chance": each.probability,
                "verdict": t("common.rain" if each.rain_tomorrow else "common.dry"),
            }
            for each in known
        ]
        silent = sorted(set(places) - {each.station for each in known})
        where = {name: {key: place[key] for key in ("latitude", "longitude")} for name, place in places.items()}
        left, right = st.columns([5, 4], gap="medium")
        with left:
            unheard = [{"station": name, "verdict": t("map.nothing"), **where[name]} for name in silent]
            drawn = _map([{**row, **where[row["station"]]} for row in rows], unheard)
            picked = chart(drawn, on_select="rerun", key="map", selection_mode=[_PICKED])
            st.caption(t("map.source"))
        with right:
            listed = table(rows, height=460, on_select="rerun", selection_mode="single-row", key="list")
            chosen = _chosen(picked, listed, [each.station for each in known])
            _detail(next((row for row in rows if row["station"] == chosen), None))
        if silent:
            st.caption(t("map.silent", names=", ".join(silent)))


def _chosen(picked: Any, listed: Any, names: list[str]) -> str | None:
    """The row ticked in the table, else the dot clicked on the map."""
    if ticked := listed.selection.rows:
        return names[int(ticked[0])]
    if points := picked.selection.get(_PICKED):
        return str(points[0]["station"])
    return None


def _detail(row: dict[str, Any] | None) -> None:
    t = words()
    with st.container(border=True):
        if row is None:
            st.caption(t("map.pick"))
            return
        st.markdown(f"**{row['station']}**: **{t.percent(row['chance'])}** · {row['verdict']}")
        st.markdown(in_words(row["chance"]))
        link = f'<a href="/?station={row["station"]}" target="_self">{t("map.to_forecast", name=row["station"])}</a>'
        st.markdown(link, unsafe_allow_html=True)


def _map(rows: list[dict[str, Any]], silent: list[dict[str, Any]]) -> Layers:
    t = words()
    outline = alt.Chart(alt.InlineData(values=[_outline()]))
    land = outline.mark_geoshape(fill="#8a8f9822", stroke=MUTED, strokeWidth=1, aria=False)
    name = alt.Tooltip("station:N", title=t("column.station"))
    verdict = alt.Tooltip("verdict:N", title=t("column.verdict"))
    rings = alt.Chart(alt.InlineData(values=silent)).encode(
        longitude="longitude:Q", latitude="latitude:Q", tooltip=[name, verdict]
    )
    rings = rings.mark_circle(size=90, opacity=1, fill=None, stroke=MUTED)
    points = alt.Chart(alt.InlineData(values=rows)).encode(longitude="longitude:Q", latitude="latitude:Q")
    dots = (
        points.mark_circle(size=190, opacity=0.95, stroke="#3a3f48", strokeWidth=0.7)
        .encode(
            color=alt.Color(
                "chance:Q",
                title=t("column.chance"),
                legend=alt.Legend(format="%", orient="bottom", gradientLength=200),
                scale=alt.Scale(domain=[0, 0.35, 0.7, 1], range=_COLOURS, interpolate="rgb"),
            ),
            tooltip=[name, alt.Tooltip("chance:Q", title=t("column.chance"), format=".0%"), verdict],
        )
        .add_params(alt.selection_point(_PICKED, fields=["station"]))
    )
    named = points.transform_filter(alt.FieldOneOfPredicate("station", _labelled(rows)))
    names = named.mark_text(dy=-13, fontSize=11, color=ink()).encode(text="label:N")
    names = names.transform_calculate(label="datum.station + ' ' + format(datum.chance, '.0%')")
    # A layer of nothing would be drawn as a picture without a name, which a screen reader stops at.
    layers = [land, rings, dots, names] if silent else [land, dots, names]
    return alt.layer(*layers).project("mercator").properties(height=460)


def _labelled(rows: list[dict[str, Any]]) -> list[str]:
    """The stations whose names do not cover each other, the wettest first."""
    chosen: list[tuple[str, float, float]] = []
    wide, high = _LABEL_DEGREES
    for row in rows:
        latitude, longitude = row["latitude"], row["longitude"]
        if all(abs(latitude - y) > high or abs(longitude - x) > wide for _, y, x in chosen):
            chosen.append((row["station"], latitude, longitude))
    return [name for name, _, _ in chosen]


@cache
def _outline() -> dict[str, Any]:
    outline: dict[str, Any] = json.loads(_OUTLINE.read_text(encoding="utf-8"))
    return outline
