"""For admins: a pipeline's runs as they go on, their tasks, logs, cancelling and trying again."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import streamlit as st

from streamlit_app.context import app_context, identity, words
from streamlit_app.ui import confirmed, every, plain, send, show_errors

_RUNNING = ("queued", "running")
_FAILED = ("failed", "upstream_failed")
_MARKS = {
    "success": ":material/check_circle:", "failed": ":material/error:", "running": ":material/autorenew:",
    "up_for_retry": ":material/replay:", "skipped": ":material/skip_next:",
}  # fmt: skip
_WAITING = ":material/schedule:"
_LINES = 60


def launch(dag: str, body: Mapping[str, Any]) -> None:
    """Have a pipeline run, and say so."""
    given = {name: value.isoformat() if isinstance(value, date) else value for name, value in body.items() if value}
    with show_errors():
        run_id = app_context().gateway.start(identity().access, dag, given)
        st.success(words()("runs.launched", dag=words()(f"dag.{dag}"), run=plain(run_id)))


@every(3)
def live(dag: str) -> None:
    """The newest run, or another one chosen."""
    t = words()
    access = identity().access
    with show_errors():
        runs = app_context().gateway.runs(access, dag)
        if not runs:
            st.info(t("runs.none"))
            return
        labels = {run["run_id"]: f"{_state(run['state'])} · {run['run_id']}" for run in runs}
        run_id = st.selectbox(t("runs.run"), list(labels), format_func=labels.__getitem__, key=f"run {dag}")
        _show(app_context().gateway.run(access, dag, run_id), access)


def _state(name: str | None) -> str:
    return words().known(f"state.{name or 'waiting'}", name or "")


def _show(run: dict[str, Any], access: str) -> None:
    t = words()
    by = plain(run["note"]) if run["note"] else t("runs.by_schedule")
    st.markdown(t("runs.state", dag=t(f"dag.{run['dag']}"), state=_state(run["state"]), by=by))
    done = sum(task["state"] in ("success", "skipped") for task in run["tasks"])
    st.progress(done / max(len(run["tasks"]), 1), t("runs.done", done=done, all=len(run["tasks"])))
    if run["state"] in _RUNNING and confirmed(t("runs.cancel"), t("runs.cancel_sure"), f"cancel {run['run_id']}"):
        _steer("runs.cancelled", "runs", run["dag"], run["run_id"], "cancel")
    for task in run["tasks"]:
        seconds = f" · {t.number(task['seconds'])} s" if task["seconds"] else ""
        mark = _MARKS.get(task["state"], _WAITING)
        tried = t("runs.try", n=task["try_number"])
        with st.expander(f"{mark} {task['task']}: {_state(task['state'])}{seconds} · {tried}"):
            if task["summary"] is not None:
                st.json(task["summary"], expanded=1)
            if task["state"] in _FAILED and st.button(t("runs.retry"), key=f"retry {run['run_id']} {task['task']}"):
                _steer("runs.retried", "runs", run["dag"], run["run_id"], "tasks", task["task"], "retry")
            if task["state"] and st.toggle(t("runs.log"), key=f"log {run['run_id']} {task['task']}"):
                text = app_context().gateway.log(access, run["dag"], run["run_id"], task["task"])
                st.code("\n".join(text.splitlines()[-_LINES:]), language=None)


def _steer(said: str, *path: str) -> None:
    with show_errors():
        send("POST", "admin", *path)
        st.toast(words()(said))
