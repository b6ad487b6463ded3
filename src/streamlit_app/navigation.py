"""The script Streamlit runs for every page: who is there, what they may see, the banner, the page."""

from collections.abc import Callable

import streamlit as st

from streamlit_app import language
from streamlit_app.context import app_context, identity, words
from streamlit_app.drafts import TYPED
from streamlit_app.ui import show_errors
from streamlit_app.views import (
    account,
    audit,
    batch,
    forecast,
    history,
    ingestion,
    model_card,
    model_versions,
    quality,
    system,
    training,
    users,
)
from streamlit_app.views import map as map_page

_PAGES: dict[str, dict[str, tuple[Callable[[], None], str]]] = {
    "weather": {
        "forecast": (forecast.show, "rainy"),
        "map": (map_page.show, "map"),
        "history": (history.show, "timeline"),
        "batch": (batch.show, "table_rows"),
        "model": (model_card.show, "insights"),
    },
    "you": {"account": (account.show, "person")},
    "service": {
        "ingestion": (ingestion.show, "cloud_download"),
        "training": (training.show, "model_training"),
        "models": (model_versions.show, "compare"),
        "quality": (quality.show, "monitoring"),
        "users": (users.show, "group"),
        "audit": (audit.show, "policy"),
        "system": (system.show, "dns"),
    },
}


@st.cache_data(ttl=10, show_spinner=False)
def _simulated() -> bool | None:
    simulated: bool | None = app_context().gateway.status()["simulated"]
    return simulated


t = words()
st.set_page_config(t("product.name"), "🌧", layout="wide")
for key in st.session_state:
    if str(key).startswith(TYPED):  # else Streamlit forgets what was typed when a run fails before the form
        st.session_state[key] = st.session_state[key]
with show_errors():
    who = identity()
    if _simulated():
        st.warning(t("product.demo"), icon=":material/science:")
    pages = {
        section: [
            st.Page(show, title=t(f"page.{path}"), icon=f":material/{icon}:", url_path=path, default=path == "forecast")
            for path, (show, icon) in found.items()
        ]
        for section, found in _PAGES.items()
        if section != "service" or who.role == "admin"
    }
    if who.must_change:
        pages = {"you": [st.Page(account.show_password, title=t("page.account"), url_path="account", default=True)]}
    page = st.navigation([one for found in pages.values() for one in found], position="hidden")
    with st.sidebar:
        for section, found in pages.items():
            st.caption(t(f"section.{section}"))
            for one in found:
                st.page_link(one)
        st.divider()
        st.markdown(t("session.who", name=who.username, role=t(f"role.{who.role}")))
        others = " · ".join(
            f'<a href="/language?to={code}" target="_self" lang="{code}">{name}</a>'
            for code, name in language.NAMES.items()
            if code != t.code
        )
        st.markdown(f'<a href="/logout" target="_self">{t("session.log_out")}</a> · {others}', unsafe_allow_html=True)
    with app_context().metrics.page(page.url_path or "forecast"):
        page.run()
