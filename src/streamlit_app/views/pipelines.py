"""For admins: launch ingestion and training, and watch them run."""

from datetime import date
from typing import Any

import streamlit as st

from meteo.station import stations
from streamlit_app.desk import desk, identity
from streamlit_app.views.common import admin_only, read, send, told

_DAGS = ("ingestion", "training", "monitoring")
_RUNNING = ("queued", "running")
_FAILED = ("failed", "upstream_failed")
_MARKS = {
    "success": ":material/check_circle:", "failed": ":material/error:", "running": ":material/autorenew:",
    "up_for_retry": ":material/replay:", "skipped": ":material/skip_next:",
}  # fmt: skip
_WAITING = ":material/schedule:"


def show() -> None:
    admin_only()
    st.title("Pipelines")
    left, right = st.columns(2, gap="large")
    with left:
        _ingestion_form()
    with right:
        _training_form()
    st.divider()
    _live()
    _published()
    with told():
        _quarantine()


def _ingestion_form() -> None:
    with st.form("ingestion"):
        st.subheader("Ingestion")
        chosen = st.multiselect("Stations", list(stations()), placeholder="all")
        first, last = st.columns(2)
        start: date | None = first.date_input("From", None, help="empty: the newest months of the source")
        end: date | None = last.date_input("To", None)
        if st.form_submit_button("Launch ingestion", type="primary"):
            body = {"stations": chosen or None, "start": start and start.isoformat(), "end": end and end.isoformat()}
            _launch("ingestion", {name: value for name, value in body.items() if value is not None})


def _training_form() -> None:
    with st.form("training"):
        st.subheader("Training")
        kind = st.selectbox("Model kind", ("xgboost", "logistic", "random_forest"))
        st.caption("A challenger is promoted only if it is no worse than the champion on the same held-out days.")
        if st.form_submit_button("Launch training", type="primary"):
            _launch("training", {"model": kind})


def _quarantine() -> None:
    """Refused rows that wait for a decision."""
    waiting = read("admin", "quarantine", state="waiting", limit=50)
    st.subheader("Refused rows")
    if not waiting:
        st.caption("None waits for a decision.")
    for row in waiting:
        with st.expander(f"{row['station'] or 'no station'} {row['day'] or ''}: {row['reason']}"):
            st.json(row["row"])
            release, discard = st.columns(2)
            for column, decision, title in ((release, "release", "Store without the fields at fault"),
                                            (discard, "discard", "Discard")):  # fmt: skip
                if column.button(title, key=f"{decision} {row['id']}"):
                    with told():
                        send("POST", "admin", "quarantine", str(row["id"]), decision)
                        st.rerun()


def _launch(dag: str, body: dict[str, Any]) -> None:
    with told():
        run_id = desk().gateway.start(identity().access, dag, body)
        st.session_state["watched"] = dag
        st.success(f"Launched {dag}: {run_id}")


@st.fragment(run_every=3)
def _live() -> None:
    """Polls the gateway; stops with the session."""
    access = identity().access
    watched = st.segmented_control("Pipeline", _DAGS, key="watched", default=None) or "ingestion"
    with told():
        runs = desk().gateway.runs(access, watched)
        if not runs:
            st.info(f"{watched} has not run yet.")
            return
        labels = {run["run_id"]: f"{run['state']} · {run['run_id']}" for run in runs}
        run_id = st.selectbox("Run", list(labels), format_func=labels.__getitem__)
        _show_run(desk().gateway.run(access, watched, run_id), access)


def _show_run(run: dict[str, Any], access: str) -> None:
    st.markdown(f"**{run['dag']}** is **{run['state']}** · {run['note'] or 'by schedule'}")
    done = sum(task["state"] in ("success", "skipped") for task in run["tasks"])
    st.progress(done / max(len(run["tasks"]), 1), f"{done} of {len(run['tasks'])} tasks done")
    if run["state"] in _RUNNING and st.button("Cancel this run", key=f"cancel {run['run_id']}"):
        _steer("cancelled", "runs", run["dag"], run["run_id"], "cancel")
    for task in run["tasks"]:
        state = task["state"] or "waiting"
        seconds = f" · {task['seconds']:.0f} s" if task["seconds"] else ""
        with st.expander(f"{_MARKS.get(state, _WAITING)} {task['task']}: {state}{seconds} · try {task['try_number']}"):
            if task["summary"] is not None:
                st.json(task["summary"])
            if task["state"] in _FAILED and st.button("Retry", key=f"retry {run['run_id']} {task['task']}"):
                _steer("will be tried again", "runs", run["dag"], run["run_id"], "tasks", task["task"], "retry")
            if task["state"] and st.toggle("Log", key=f"log {run['run_id']} {task['task']}"):
                text = desk().gateway.log(access, run["dag"], run["run_id"], task["task"])
                st.code("\n".join(text.splitlines()[-60:]), language=None)


def _steer(done: str, *path: str) -> None:
    with told():
        send("POST", "admin", *path)
        st.toast(f"{path[2]} {done}")


@st.fragment(run_every=6)
def _published() -> None:
    """What the pipelines have brought so far; polls like the live view."""
    with told():
        _tables(read("admin", "ingestions", limit=10), read("admin", "models"))


def _tables(ingestions: list[dict[str, Any]], published: list[dict[str, Any]]) -> None:
    st.subheader("What came in")
    shown = ("id", "state", "source", "started_at", "files", "new", "changed", "unchanged", "quarantined", "problems")
    st.dataframe([{name: run[name] for name in shown} for run in ingestions], hide_index=True)
    st.subheader("Published models")
    models = [
        {
            "version": model["version"], "serves as": ", ".join(model["aliases"]), "kind": model["kind"],
            **{name: model["metrics"].get(name) for name in ("roc_auc", "brier", "ece")},
            "demo data": model["simulated"],
        }
        for model in published
    ]  # fmt: skip
    st.dataframe(models, hide_index=True)
