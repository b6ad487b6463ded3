"""What was observed at a station, and what was forecast with what then fell."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import altair as alt
import streamlit as st

from meteo.observation import FIELDS
from streamlit_app.context import identity, words
from streamlit_app.ui import DRY, RAIN, chart, read, show_errors, table

_MOST = 500
_DEFAULT = "temp_3pm"
_DAYS = 30
_DAYS_AXIS = alt.Axis(format="%e %b", labelOverlap=True)


def show() -> None:
    t = words()
    st.title(t("page.history"))
    with show_errors():
        places = {place["name"]: place for place in read("stations")}
        names = list(places)
        chosen = st.selectbox(t("common.station"), names, index=names.index("Sydney"))
        observed, forecast = st.tabs([t("history.observations"), t("history.forecasts")])
        with observed:
            _observations(chosen, places[chosen]["latest"])
        with forecast:
            _forecasts(chosen)


def _observations(station: str, latest: str | None) -> None:
    t = words()
    if latest is None:
        st.info(t("history.nothing_observed", name=station))
        return
    newest = date.fromisoformat(latest)
    chosen = st.date_input(
        t("history.period"),
        (newest - timedelta(days=_DAYS - 1), newest),
        max_value=newest,
        format="DD/MM/YYYY",
        key=f"period {station}",
    )
    if len(chosen) != 2:
        st.caption(t("history.last_day_too"))
        return
    start, end = chosen
    days = read("stations", station, "observations", start=start.isoformat(), end=end.isoformat())
    if not days:
        st.info(t("history.nothing_observed", name=station))
        return
    rows = [{"date": day["date"], **day["observation"]} for day in days]
    names = [field.name for field in FIELDS if not field.compass and field.name != "rainfall"]
    labels = {
        field.name: t(f"field.{field.name}") + (f" ({t(f'unit.{field.unit}')})" if field.unit else "")
        for field in FIELDS
    }
    name = st.selectbox(t("history.reading"), names, index=names.index(_DEFAULT), format_func=labels.__getitem__)
    base = alt.Chart(alt.InlineData(values=rows)).encode(x=alt.X("date:T", title=None, axis=_DAYS_AXIS))
    day = alt.Tooltip("date:T", title=t("column.date"), format="%A %e %B %Y")
    chart(
        base.mark_bar(color=RAIN)
        .encode(y=alt.Y("rainfall:Q", title=None), tooltip=[day, alt.Tooltip("rainfall:Q", title=labels["rainfall"])])
        .properties(title=labels["rainfall"], height=160)
    )
    chart(
        base.mark_line(point=True, color=DRY)
        .encode(
            y=alt.Y(f"{name}:Q", title=None, scale=alt.Scale(zero=False)),
            tooltip=[day, alt.Tooltip(f"{name}:Q", title=labels[name])],
        )
        .properties(title=labels[name], height=200)
    )
    shown = [{"date": row["date"], **{field.name: row.get(field.name) for field in FIELDS}} for row in rows]
    st.dataframe(shown[::-1], hide_index=True, column_config={"date": t("column.date"), **labels})
    _download(shown, f"{station}.csv", "observations")


def _forecasts(station: str) -> None:
    t = words()
    forecasts = read("predictions", station=station, limit=_MOST)
    if not forecasts:
        st.info(t("history.nothing_forecast", name=station))
        return
    everybodys = identity().role == "admin"
    known = [row for row in forecasts if row["rained"] is not None]
    if known:
        right = sum(row["rained"] == row["rain_tomorrow"] for row in known)
        st.markdown(t("history.right", known=t.number(len(known)), right=t.number(right)))
        _what_fell(known)
    said = {True: t("common.rain"), False: t("common.dry"), None: t("history.not_known_yet")}
    table(
        [
            {
                "asked_at": datetime.fromisoformat(row["made_at"]).astimezone(UTC),
                "date": row["date"],
                "chance": row["probability"],
                "verdict": said[row["rain_tomorrow"]],
                "fell_mm": row["rainfall"],
                "then": said[row["rained"]],
                "version": row["model_version"],
                **({"by": row["username"]} if everybodys else {}),
            }
            for row in forecasts
        ]
    )
    plain = ("made_at", "date", "probability", "rain_tomorrow", "rainfall", "rained", "model_version")
    _download([{name: row[name] for name in plain} for row in forecasts], f"forecasts-{station}.csv", "forecasts")


def _what_fell(known: list[dict[str, Any]]) -> None:
    t = words()
    wet, dry = t("common.rain"), t("common.dry")
    rows = alt.InlineData(
        values=[
            {"date": row["date"], "chance": row["probability"], "then": wet if row["rained"] else dry} for row in known
        ]
    )
    outcome = alt.Color(
        "then:N",
        title=t("column.then"),
        legend=alt.Legend(orient="bottom"),
        scale=alt.Scale(domain=[wet, dry], range=[RAIN, DRY]),
    )
    shape = alt.Shape("then:N", title=t("column.then"), scale=alt.Scale(domain=[wet, dry], range=["circle", "diamond"]))
    chart(
        alt.Chart(rows, title=t("history.what_fell"), height=200)
        .mark_point(size=80, filled=True)
        .encode(
            x=alt.X("date:T", title=None, axis=_DAYS_AXIS),
            y=alt.Y("chance:Q", title=t("column.chance"), axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
            color=outcome,
            shape=shape,
            tooltip=[
                alt.Tooltip("date:T", title=t("column.date"), format="%A %e %B %Y"),
                alt.Tooltip("chance:Q", title=t("column.chance"), format=".0%"),
                alt.Tooltip("then:N", title=t("column.then")),
            ],
        )
    )


def _download(rows: Sequence[Mapping[str, Any]], name: str, key: str) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    st.download_button(words()("common.download"), text.getvalue(), name, "text/csv", key=f"download {key}")
