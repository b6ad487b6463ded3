"""The script Streamlit runs for every page: who is there, what they may see, the banner, the page."""

import streamlit as st

from meteo.errors import MeteoError
from streamlit_app.desk import desk, identity
from streamlit_app.views import forecast, pipelines


@st.cache_data(ttl=10, show_spinner=False)
def _simulated() -> bool | None:
    found: bool | None = desk().gateway.status()["simulated"]
    return found


st.set_page_config("Rain tomorrow", "🌧", layout="wide")
try:
    who = identity()
    if _simulated():
        st.warning("**DEMO DATA** – simulated weather, not real observations.", icon=":material/science:")
    pages = [st.Page(forecast.show, title="Forecast", icon=":material/rainy:", default=True)]
    if who.role == "admin":
        pages.append(
            st.Page(pipelines.show, title="Pipelines", icon=":material/conversion_path:", url_path="pipelines")
        )
    with st.sidebar:
        st.markdown(f"Logged in as **{who.username}** ({who.role})")
        st.markdown('<a href="/logout" target="_self">Log out</a>', unsafe_allow_html=True)
    st.navigation(pages).run()
except MeteoError as error:
    st.error(f"{error.title}: {error.detail}")
