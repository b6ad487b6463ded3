"""For admins: the state of every part."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import streamlit as st

from streamlit_app.context import app_context, words
from streamlit_app.ui import admin_only, every, plain, read, show_errors

_MARKS = {"up": ":material/check_circle:", "down": ":material/error:"}


def show() -> None:
    admin_only()
    t = words()
    st.title(t("page.system"))
    _state()
    if links := app_context().links:
        st.header(t("system.links"))
        st.markdown("\n".join(f"- [{name}]({address})" for name, address in links.items()))
        st.caption(t("system.links_help"))


@every(10)
def _state() -> None:
    admin_only()
    t = words()
    with show_errors():
        status = app_context().gateway.status()
        state = t(f"system.{status['status']}")
        st.markdown(t("system.state", state=state, version=status["model_version"] or t("common.none")))
        for part in status["dependencies"]:
            detail = f": {plain(part['detail'])}" if part["detail"] else ""
            st.markdown(f"{_MARKS[part['state']]} **{part['name']}** – {t('system.' + part['state'])}{detail}")
        places = [place for place in read("stations") if place["latest"]]
        if not places:
            st.markdown(t("system.no_observations"))
            return
        first = max(places, key=lambda place: place["latest"])
        newest = date.fromisoformat(first["latest"])
        late = sorted(place["name"] for place in places if place["latest"] < first["latest"])
        st.markdown(t("system.newest", day=t.day(newest), n=len(places) - len(late)))
        if (age := (datetime.now(ZoneInfo(first["timezone"])).date() - newest).days) > 0:
            st.markdown(t("system.age", age=age))
        if late:
            st.caption(t("system.late", names=", ".join(late)))
