"""For admins: how good the forecasts were, and whether the readings still are what they used to be."""

from datetime import date
from typing import Any

import altair as alt
import streamlit as st

from streamlit_app.context import app_context, identity, words
from streamlit_app.ui import DRY, admin_only, chart, read, reliability, show_errors, table
from streamlit_app.views.runs import launch, live

_MARKS = {"drift": ":material/warning:", "quiet": ":material/check_circle:"}
_UNKNOWN = ":material/help:"
_SIDES = ("observations", "served")


def show() -> None:
    admin_only()
    t = words()
    st.title(t("quality.title"))
    quality, drift, data, look = st.tabs([t("quality.live"), t("quality.drift"), t("quality.data"), t("quality.look")])
    with quality, show_errors():
        _quality()
    with drift, show_errors():
        _drift()
    with data, show_errors():
        _data()
    with look:
        if st.button(t("quality.look_now")):
            launch("monitoring", {})
        live("monitoring")


def _quality() -> None:
    t = words()
    st.caption(t("quality.live_help"))
    versions = read("admin", "quality")
    if not versions:
        st.info(t("quality.nothing_forecast"))
        return
    table([_scores(row) for row in versions])
    measured = [row for row in versions if row["verdict"] == "measured"]
    if not measured:
        st.info(t("quality.not_enough"))
        return
    chosen = st.selectbox(t("quality.version"), [row["model_version"] for row in reversed(measured)])
    row = next(row for row in measured if row["model_version"] == chosen)
    left, right = st.columns(2, gap="large")
    with left:
        chart(reliability(row["reliability"]))
    with right:
        stations = [each for each in read("admin", "quality", by="station") if each["model_version"] == chosen]
        table([{"station": each["station"], **_scores(each)} for each in stations])


def _scores(row: dict[str, Any]) -> dict[str, Any]:
    t = words()
    known = row["brier"] is not None
    verdict = row["verdict"].replace(" ", "_")
    return {
        "version": row["model_version"],
        "forecasts": row["predictions"],
        "outcomes": row["outcomes"],
        "verdict": t(f"quality.{verdict}"),
        "brier": row["brier"],
        "interval": t.between(row["brier_low"], row["brier_high"], 3) if known else None,
        "promised": row["expected_brier"],
        "skill": row["skill"],
        "roc_auc": row["roc_auc"],
        "log_loss": row["log_loss"],
    }


def _drift() -> None:
    t = words()
    reports = read("admin", "drift", limit=60)
    if not reports:
        st.info(t("quality.nobody_looked"))
        return
    rows = alt.InlineData(
        values=[{"day": report["day"], "alarms": sum(report["alarms"].values())} for report in reports]
    )
    chart(
        alt.Chart(rows, title=t("quality.alarms_by_day"), height=120)
        .mark_bar(color=DRY)
        .encode(
            x=alt.X("day:T", title=None, axis=alt.Axis(format="%e %b")),
            y=alt.Y("max(alarms):Q", title=None, axis=alt.Axis(tickMinStep=1)),
            tooltip=[alt.Tooltip("day:T", title=t("column.date"), format="%A %e %B %Y"), "alarms:Q"],
        )
    )
    by_id = {report["id"]: report for report in reports}
    chosen = st.selectbox(t("quality.report"), list(by_id), format_func=lambda key: _title(by_id[key]))
    report = read("admin", "drift", chosen)
    for side in _SIDES:
        side_report = report[side]
        title = t(f"quality.side_{side}")
        st.header(f"{_MARKS.get(side_report['verdict'], _UNKNOWN)} {title}: {_verdict(side_report['verdict'])}")
        if side_report["alarms"]:
            shown = ("station", "channel", "kind", "since", "statistic", "threshold")
            table(
                [
                    {("limit" if name == "threshold" else name): alarm[name] for name in shown}
                    for alarm in side_report["alarms"]
                ]
            )
        if side_report["columns"] and st.toggle(t("quality.page"), key=f"{side} {chosen}"):
            st.iframe(app_context().gateway.drift_page(identity().access, chosen, side), height=1200)


def _verdict(name: str) -> str:
    return words().known(f"quality.verdict_{name.replace(' ', '_')}", name)


def _title(report: dict[str, Any]) -> str:
    t = words()
    alarms = sum(report["alarms"].values())
    day = t.day(date.fromisoformat(report["day"])) if report["day"] else t("quality.no_day")
    return f"{day} · {_verdict(report['verdict'])}" + (f" · {t('quality.alarms', n=alarms)}" if alarms else "")


def _data() -> None:
    t = words()
    days = read("admin", "data-quality")
    if not days:
        st.info(t("quality.nothing_stored"))
        return
    shares = alt.InlineData(
        values=[
            {"station": row["station"], "reading": t(f"field.{name}"), "known": 1 - field["missing"] / row["days"]}
            for row in days
            for name, field in row["fields"].items()
        ]
    )
    chart(
        alt.Chart(shares, title=t("quality.shares"))
        .mark_rect()
        .encode(
            x=alt.X("reading:N", title=None, sort=None, axis=alt.Axis(labelAngle=-60, labelLimit=160)),
            y=alt.Y("station:N", title=None, axis=alt.Axis(labelOverlap=False)),
            color=alt.Color(
                "known:Q",
                title=t("column.known"),
                legend=alt.Legend(format="%", orient="bottom"),
                scale=alt.Scale(domain=[0, 1], range=["#b3402a", "#f3e3b3", "#0b3c78"]),
            ),
            tooltip=[
                alt.Tooltip("station:N", title=t("column.station")),
                alt.Tooltip("reading:N", title=t("history.reading")),
                alt.Tooltip("known:Q", title=t("column.known"), format=".0%"),
            ],
        )
    )
    table(
        [
            {
                "station": row["station"],
                "days": row["days"],
                "flagged": sum(field["flagged"] for field in row["fields"].values()),
            }
            for row in days
        ]
    )
