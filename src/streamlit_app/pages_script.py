"""The script Streamlit runs for every page: who is there, what they may see, the banner, the page."""

import streamlit as st

from meteo.errors import MeteoError
from streamlit_app.desk import desk, identity
from streamlit_app.views import account, australia, batch, forecast, history, models, office, pipelines, quality


@st.cache_data(ttl=10, show_spinner=False)
def _simulated() -> bool | None:
    found: bool | None = desk().gateway.status()["simulated"]
    return found


st.set_page_config("Rain tomorrow", "🌧", layout="wide")
try:
    who = identity()
    if _simulated():
        st.warning("**DEMO DATA** – simulated weather, not real observations.", icon=":material/science:")
    pages = {
        "Weather": [
            st.Page(forecast.show, title="Forecast", icon=":material/rainy:", default=True),
            st.Page(australia.show, title="Map", icon=":material/map:", url_path="map"),
            st.Page(history.show, title="History", icon=":material/timeline:", url_path="history"),
            st.Page(batch.show, title="Batch", icon=":material/table_rows:", url_path="batch"),
        ],
        "You": [st.Page(account.show, title="Account", icon=":material/person:", url_path="account")],
    }
    if who.role == "admin":
        pages["Service"] = [
            st.Page(pipelines.show, title="Pipelines", icon=":material/conversion_path:", url_path="pipelines"),
            st.Page(quality.show, title="Quality", icon=":material/monitoring:", url_path="quality"),
            st.Page(models.show, title="Models", icon=":material/model_training:", url_path="models"),
            st.Page(office.show_users, title="Users", icon=":material/group:", url_path="users"),
            st.Page(office.show_audit, title="Audit", icon=":material/policy:", url_path="audit"),
            st.Page(office.show_system, title="System", icon=":material/dns:", url_path="system"),
        ]
    with st.sidebar:
        st.markdown(f"Logged in as **{who.username}** ({who.role})")
        st.markdown('<a href="/logout" target="_self">Log out</a>', unsafe_allow_html=True)
    if who.must_change:
        page = st.navigation([st.Page(account.show_password, title="Account", url_path="account", default=True)])
    else:
        page = st.navigation(pages)
    with desk().metrics.page(page.title):
        page.run()
except MeteoError as error:
    st.error(f"{error.title}: {error.detail}")
