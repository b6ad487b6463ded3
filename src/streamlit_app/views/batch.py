"""Many station-days at once, by CSV."""

import csv
import io

import pandas as pd
import streamlit as st

from meteo.observation import NAMES
from streamlit_app.desk import desk, identity
from streamlit_app.views.common import told

_TEMPLATE = {"station": "Sydney", "date": "2017-06-25", "humidity_3pm": "80", "pressure_3pm": "1009.5"}


def show() -> None:
    who = identity()
    st.title("Many at once")
    st.markdown("A CSV with a line for each station and day: `station`, `date` (YYYY-MM-DD) and the readings that are "
                "known. Every line is answered by itself; one that cannot be says why.")  # fmt: skip
    st.download_button("Download a template", _template(), "template.csv", "text/csv")
    given = st.file_uploader("CSV, up to 10 MB", type="csv")
    if given is None:
        return
    with told(), st.spinner("forecasting"):
        answered = desk().gateway.batch(who.access, given.getvalue())
        table = pd.read_csv(io.BytesIO(answered))
        st.markdown(f"**{len(table):,}** lines were answered.")
        st.dataframe(table, hide_index=True)
        st.download_button("Download the answers", answered, "forecasts.csv", "text/csv")


def _template() -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["station", "date", *NAMES])
    writer.writeheader()
    writer.writerow(_TEMPLATE)
    return text.getvalue()
