"""For admins: who did what."""

import streamlit as st

from streamlit_app.context import words
from streamlit_app.ui import admin_only, read, show_errors, table


def show() -> None:
    admin_only()
    t = words()
    st.title(t("page.audit"))
    with show_errors():
        who, what = st.columns(2)
        actor = who.text_input(t("audit.by"), placeholder=t("audit.anyone"))
        action = what.text_input(t("audit.action"), placeholder=t("audit.any"))
        asked = {name: value.strip() for name, value in (("actor", actor), ("action", action)) if value.strip()}
        rows = read("admin", "audit", limit=500, **asked)
        if rows:
            table(rows, height=640)
        else:
            st.info(t("audit.none"))
