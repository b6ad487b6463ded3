"""For admins: fetch observations, see what came in, decide on what was refused."""

import re
from datetime import date
from typing import Any

import streamlit as st

from meteo.station import stations
from streamlit_app.context import app_context, identity, words
from streamlit_app.drafts import TYPED
from streamlit_app.ui import admin_only, confirmed, every, plain, read, send, show_errors, table
from streamlit_app.views.runs import launch, live

_NOT_IN_NAMES = re.compile("[^A-Za-z0-9._-]")
_SHOWN = ("id", "state", "source", "started_at", "files", "new", "changed", "unchanged", "quarantined", "problems")


def show() -> None:
    admin_only()
    t = words()
    st.title(t("page.ingestion"))
    left, right = st.columns(2, gap="large")
    with left:
        _form()
        _upload()
        _contract()
    with right:
        live("ingestion")
    _came_in()
    with show_errors():
        _quarantine()


def _form() -> None:
    t = words()
    with st.form("ingestion"):
        st.header(t("ingestion.launch_title"))
        chosen = st.multiselect(
            t("ingestion.stations"), list(stations()), placeholder=t("ingestion.all"), key=f"{TYPED}ingestion stations"
        )
        first, last = st.columns(2)
        start: date | None = first.date_input(
            t("ingestion.start"),
            None,
            help=t("ingestion.start_help"),
            format="DD/MM/YYYY",
            key=f"{TYPED}ingestion start",
        )
        end: date | None = last.date_input(t("ingestion.end"), None, format="DD/MM/YYYY", key=f"{TYPED}ingestion end")
        if st.form_submit_button(t("ingestion.launch"), type="primary"):
            launch("ingestion", {"stations": chosen, "start": start, "end": end})


def _upload() -> None:
    """BOM's month files from somebody's own disk."""
    t = words()
    with st.form("upload", clear_on_submit=True):
        st.header(t("ingestion.upload_title"))
        files = st.file_uploader(t("ingestion.files"), type="csv", accept_multiple_files=True)
        if st.form_submit_button(t("ingestion.upload")) and files:
            with show_errors():
                for file in files:
                    app_context().gateway.hand_in(identity().access, _NOT_IN_NAMES.sub("_", file.name), file.getvalue())
                launch("ingestion", {"source": "upload"})


def _contract() -> None:
    """The limits that readings are held to."""
    t = words()
    with st.expander(t("ingestion.contract")), show_errors():
        said = read("admin", "data-contract")
        st.caption(t("ingestion.contract_help", version=said["version"]))
        table(
            [
                {
                    "field": t(f"field.{field['name']}"),
                    "unit": t("ingestion.compass") if field["values"] else t(f"unit.{field['unit']}"),
                    **{end: "" if field[end] is None else t.number(field[end]) for end in ("minimum", "maximum")},
                    "header": field["bom"],
                }
                for field in said["fields"]
            ]
        )


@every(6)
def _came_in() -> None:
    t = words()
    with show_errors():
        rows = read("admin", "ingestions", limit=10)
        st.header(t("ingestion.came_in"))
        table(
            [
                {
                    **{name: row[name] for name in _SHOWN},
                    "state": t(f"state.{row['state']}"),
                    "problems": "; ".join(row["problems"]),
                }
                for row in rows
            ]
        )


def _quarantine() -> None:
    """Refused rows that wait for a decision."""
    t = words()
    waiting = read("admin", "quarantine", state="waiting", limit=50)
    st.header(t("ingestion.refused"))
    if not waiting:
        st.caption(t("ingestion.none_waits"))
    for row in waiting:
        _decide(row)


def _decide(row: dict[str, Any]) -> None:
    t = words()
    place = plain(row["station"] or t("ingestion.no_station"))
    with st.expander(f"{place} {row['day'] or ''}: {plain(row['reason'])}"):
        st.json(row["row"])
        release, discard = st.columns(2)
        for column, decision in ((release, "release"), (discard, "discard")):
            with column:
                if confirmed(t(f"ingestion.{decision}"), t(f"ingestion.{decision}_sure"), f"{decision} {row['id']}"):
                    with show_errors():
                        send("POST", "admin", "quarantine", str(row["id"]), decision)
                        st.rerun()
