"""What was observed at a station, and what was forecast with what then fell."""

import altair as alt
import pandas as pd
import streamlit as st

from meteo.observation import BY_NAME, FIELDS
from streamlit_app.desk import identity
from streamlit_app.views.common import read, told

_MOST = 500
_DEFAULT = "temp_3pm"


def show() -> None:
    st.title("History")
    with told():
        names = [place["name"] for place in read("stations")]
        chosen = st.selectbox("Station", names, index=names.index("Sydney"))
        observed, forecast = st.tabs(["Observations", "Forecasts"])
        with observed:
            _observations(chosen)
        with forecast:
            _forecasts(chosen)


def _observations(station: str) -> None:
    days = read("stations", station, "observations")
    if not days:
        st.info(f"There are no observations of {station} yet.")
        return
    table = pd.DataFrame([{"date": day["date"], **day["observation"]} for day in days])
    names = [field.name for field in FIELDS if not field.compass and field.name in table and field.name != "rainfall"]
    name = st.selectbox("Reading", names, index=names.index(_DEFAULT) if _DEFAULT in names else 0,
                        format_func=lambda name: f"{BY_NAME[name].label} ({BY_NAME[name].unit})")  # fmt: skip
    axis = alt.X("date:T", title=None)
    rain = alt.Chart(table, title="Rain in the 24 h to 9am (mm)", height=160).mark_bar(color="#1f77b4")
    line = alt.Chart(table, title=f"{BY_NAME[name].label} ({BY_NAME[name].unit})", height=200)
    st.altair_chart(
        rain.encode(x=axis, y=alt.Y("rainfall:Q", title=None), tooltip=["date", "rainfall"]), width="stretch"
    )
    st.altair_chart(
        line.mark_line(point=True, color="#d98c21").encode(
            x=axis, y=alt.Y(f"{name}:Q", title=None, scale=alt.Scale(zero=False)), tooltip=["date", name]
        ), width="stretch",
    )  # fmt: skip
    st.dataframe(table.iloc[::-1], hide_index=True)
    st.download_button("Download as CSV", table.to_csv(index=False), f"{station}.csv", "text/csv")


def _forecasts(station: str) -> None:
    found = read("predictions", station=station, limit=_MOST)
    if not found:
        st.info(f"Nothing was forecast for {station} yet.")
        return
    table = pd.DataFrame([
        {
            "asked": row["made_at"], "day observed": row["date"], "chance": row["probability"],
            "said": "rain" if row["rain_tomorrow"] else "no rain",
            "fell (mm)": row["rainfall"],
            "then": "not known yet" if row["rained"] is None else "rain" if row["rained"] else "no rain",
            "version": row["model_version"], **({"by": row["username"]} if identity().role == "admin" else {}),
        }
        for row in found
    ])  # fmt: skip
    known = table[table["then"] != "not known yet"]
    if len(known):
        right = int((known["said"] == known["then"]).sum())
        st.markdown(f"Of **{len(known)}** forecasts whose day is over, **{right}** said rightly whether it would rain.")
    st.dataframe(table, hide_index=True, column_config={
        "chance": st.column_config.ProgressColumn(format="percent", max_value=1),
        "asked": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm"),
    })  # fmt: skip
    st.download_button("Download as CSV", table.to_csv(index=False), f"forecasts-{station}.csv", "text/csv")
