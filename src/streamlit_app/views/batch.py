"""Many station-days at once, by CSV."""

import csv
import io

import streamlit as st

from meteo.observation import NAMES
from streamlit_app.context import app_context, identity, words
from streamlit_app.ui import show_errors, table

_TEMPLATE = {"station": "Sydney", "date": "2017-06-25", "humidity_3pm": "80", "pressure_3pm": "1009.5"}
_PREVIEW = 500


def show() -> None:
    who = identity()
    t = words()
    st.title(t("batch.title"))
    st.markdown(t("batch.about"))
    st.download_button(t("batch.template"), _template(), "template.csv", "text/csv")
    given = st.file_uploader(t("batch.file"), type="csv")
    if given is None:
        return
    with show_errors(), st.spinner(t("batch.working"), show_time=True):
        answered = app_context().gateway.batch(who.access, given.getvalue())
        rows = list(csv.DictReader(io.StringIO(answered.decode())))
        wrong = [row for row in rows if row.get("error")]
        st.success(t("batch.answered", n=t.number(len(rows) - len(wrong)), all=t.number(len(rows))))
        if wrong:
            st.warning(t("batch.wrong", n=t.number(len(wrong))))
        st.download_button(t("batch.download"), answered, "forecasts.csv", "text/csv")
        shown = sorted(rows, key=lambda row: not row.get("error"))[:_PREVIEW]
        table([_row(row) for row in shown])
        if len(rows) > _PREVIEW:
            st.caption(t("batch.preview", n=t.number(_PREVIEW)))


def _row(row: dict[str, str]) -> dict[str, str | float | None]:
    chance = row.get("probability")
    return {
        "station": row.get("station"),
        "date": row.get("date"),
        "chance": float(chance) if chance else None,
        "problem": row.get("error") or None,
    }


def _template() -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["station", "date", *NAMES])
    writer.writeheader()
    writer.writerow(_TEMPLATE)
    return text.getvalue()
