"""One's own account: password and API keys."""

import streamlit as st

from streamlit_app.desk import identity
from streamlit_app.views.common import read, send, told


def show() -> None:
    who = identity()
    st.title("Account")
    st.markdown(f"**{who.username}**, role {who.role}")
    left, right = st.columns(2, gap="large")
    with left:
        _password()
    with right:
        _keys()


def show_password() -> None:
    """All there is for those whose password an admin has given."""
    identity()
    st.title("Choose a password")
    st.info("Your password was given by an admin, who knows it: change it, then log in again.")
    _password()


def _password() -> None:
    st.subheader("Password")
    with st.form("password", clear_on_submit=True):
        old = st.text_input("Present password", type="password")
        new = st.text_input("New password", type="password", help="at least 12 characters; a sentence is good")
        again = st.text_input("New password again", type="password")
        if st.form_submit_button("Change password"):
            if new != again:
                st.error("The two new passwords differ.")
            else:
                with told():
                    send("POST", "me", "password", body={"current": old, "new": new})
                    st.success("Changed. All your sessions have ended.")
                    st.markdown('<a href="/logout" target="_self">Log in with the new password</a>',
                                unsafe_allow_html=True)  # fmt: skip


def _keys() -> None:
    st.subheader("API keys")
    st.caption("For programs: `Authorization: Bearer KEY`. A key is shown once.")
    with told():
        with st.form("key", clear_on_submit=True):
            label = st.text_input("What is it for?", max_chars=60)
            if st.form_submit_button("Make a key") and label.strip():
                st.code(send("POST", "me", "keys", body={"label": label.strip()})["key"], language=None)
        for key in read("me", "keys"):
            name, action = st.columns([4, 1], vertical_alignment="center")
            name.markdown(f"`{key['prefix']}…` {key['label']}")
            if action.button("Revoke", key=f"revoke {key['prefix']}"):
                send("DELETE", "me", "keys", key["prefix"])
                st.rerun()
