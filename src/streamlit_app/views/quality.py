"""For admins: how good the forecasts were, and whether the readings still are what they used to be."""

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from streamlit_app.desk import desk, identity
from streamlit_app.views.common import admin_only, read, told

_MARKS = {"drift": ":material/warning:", "quiet": ":material/check_circle:"}
_UNKNOWN = ":material/help:"
_SIDES = {"observations": "Observations that arrived", "served": "Inputs that forecasts were asked with"}


def show() -> None:
    admin_only()
    st.title("Quality and drift")
    quality, drift, data = st.tabs(["Live quality", "Drift", "Stored data"])
    with quality, told():
        _quality()
    with drift, told():
        _drift()
    with data, told():
        _data()


def _quality() -> None:
    st.caption("Forecasts of the last 90 days whose outcome is known. What was asked in hindsight is not counted.")
    versions = read("admin", "quality")
    if not versions:
        st.info("Nothing was forecast yet.")
        return
    st.dataframe([_scores(row) for row in versions], hide_index=True)
    measured = [row for row in versions if row["verdict"] == "measured"]
    if not measured:
        st.info("Not enough data: the scores are told once enough outcomes are known.")
        return
    chosen = st.selectbox("Version", [row["model_version"] for row in reversed(measured)])
    row = next(row for row in measured if row["model_version"] == chosen)
    left, right = st.columns(2, gap="large")
    left.altair_chart(reliability(row["reliability"]), width="stretch")
    stations = [each for each in read("admin", "quality", by="station") if each["model_version"] == chosen]
    right.dataframe([{"station": each["station"], **_scores(each)} for each in stations], hide_index=True)


def _scores(row: dict[str, Any]) -> dict[str, Any]:
    interval = f"{row['brier_low']:.3f}–{row['brier_high']:.3f}" if row["brier"] is not None else None
    return {
        "version": row["model_version"], "forecasts": row["predictions"], "outcomes": row["outcomes"],
        "verdict": row["verdict"], "Brier": row["brier"], "90 % interval": interval, "promised": row["expected_brier"],
        "skill": row["skill"], "AUC": row["roc_auc"], "log loss": row["log_loss"],
    }  # fmt: skip


def reliability(bins: list[dict[str, Any]]) -> alt.LayerChart | alt.FacetChart:
    """How often it rained when such a chance was given; on the diagonal, forecasts are reliable."""
    table = pd.DataFrame(bins)
    diagonal = alt.Chart(pd.DataFrame({"forecast": [0, 1], "observed": [0, 1]})).mark_line(
        strokeDash=[4, 4], color="#8a8f98"
    )
    whole, percent = alt.Scale(domain=[0, 1]), alt.Axis(format="%")
    axes = {"x": alt.X("forecast:Q", title="chance given", scale=whole, axis=percent),
            "y": alt.Y("observed:Q", title="it rained", scale=whole, axis=percent)}  # fmt: skip
    points = alt.Chart(table).mark_line(point=alt.OverlayMarkDef(size=90), color="#1f77b4")
    tooltip = [alt.Tooltip("forecast", format=".0%"), alt.Tooltip("observed", format=".0%"), "n"]
    counts = alt.Chart(table).mark_text(dy=-12, color="#7a7f88").encode(text="n:Q", **axes)
    return alt.layer(diagonal.encode(**axes), points.encode(tooltip=tooltip, **axes), counts).properties(
        title="Reliability (with the number of forecasts)", height=380
    )


def _drift() -> None:
    reports = read("admin", "drift", limit=60)
    if not reports:
        st.info("Nobody has looked for drift yet: the monitoring pipeline does, after each ingestion.")
        return
    trend = pd.DataFrame([{"day": report["day"], "alarms": sum(report["alarms"].values())} for report in reports])
    st.altair_chart(
        alt.Chart(trend, title="Alarms by day looked at", height=120).mark_bar(color="#d98c21").encode(
            x=alt.X("day:T", title=None), y=alt.Y("max(alarms):Q", title=None), tooltip=["day", "alarms"]
        ), width="stretch",
    )  # fmt: skip
    by_id = {report["id"]: report for report in reports}
    chosen = st.selectbox("Look", list(by_id), format_func=lambda key: _title(by_id[key]))
    report = read("admin", "drift", chosen)
    for side, title in _SIDES.items():
        found = report[side]
        st.subheader(f"{_MARKS.get(found['verdict'], _UNKNOWN)} {title}: {found['verdict']}")
        if found["alarms"]:
            shown = ("station", "channel", "kind", "since", "statistic", "threshold")
            st.dataframe([{name: alarm[name] for name in shown} for alarm in found["alarms"]], hide_index=True)
        if found["columns"] and st.toggle("Readings beside those of the same season", key=f"{side} {chosen}"):
            st.iframe(desk().gateway.drift_page(identity().access, chosen, side), height=1200)


def _title(report: dict[str, Any]) -> str:
    alarms = sum(report["alarms"].values())
    return f"{report['day'] or 'no day'} · {report['verdict']}" + (f" · {alarms} alarms" if alarms else "")


def _data() -> None:
    found = read("admin", "data-quality")
    if not found:
        st.info("Nothing is stored yet.")
        return
    rows = [
        {
            "station": row["station"], "days": row["days"],
            **{name: 1 - field["missing"] / row["days"] for name, field in row["fields"].items()},
            "flagged": sum(field["flagged"] for field in row["fields"].values()),
        }
        for row in found
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    melted = table.drop(columns=["days", "flagged"]).melt("station", var_name="reading", value_name="known")
    st.altair_chart(
        alt.Chart(melted, title="Share of days on which each reading is known").mark_rect().encode(
            x=alt.X("reading:N", title=None, sort=None), y=alt.Y("station:N", title=None),
            color=alt.Color("known:Q", scale=alt.Scale(domain=[0, 1], range=["#b3402a", "#f3e3b3", "#0b3c78"]),
                            legend=alt.Legend(format="%")),
            tooltip=["station", "reading", alt.Tooltip("known", format=".0%")],
        ), width="stretch",
    )  # fmt: skip
    st.dataframe(table[["station", "days", "flagged"]], hide_index=True)
