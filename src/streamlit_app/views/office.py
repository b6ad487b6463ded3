"""For admins: accounts, the audit trail, and the state of every part."""

from typing import Any

import streamlit as st

from streamlit_app.desk import desk
from streamlit_app.views.common import admin_only, read, send, told

_MARKS = {"up": ":material/check_circle:", "down": ":material/error:"}


def show_users() -> None:
    who = admin_only()
    st.title("Users")
    with told():
        with st.form("new", clear_on_submit=True):
            name, role = st.columns([3, 1])
            username = name.text_input("User name")
            wanted = role.selectbox("Role", ("user", "admin"))
            if st.form_submit_button("Make an account") and username.strip():
                made = send("POST", "admin", "users", body={"username": username.strip(), "role": wanted})
                _password(made)
        for account in read("admin", "users"):
            _account(account, account["username"] == who.username)


def _account(account: dict[str, Any], own: bool) -> None:
    name = account["username"]
    state = "" if account["enabled"] else " · disabled"
    with st.expander(f"{name} · {account['role']}{state}"):
        if own:
            st.caption("This is you: another admin can change it.")
            return
        role, switch, reset, remove = st.columns(4)
        other = "user" if account["role"] == "admin" else "admin"
        if role.button(f"Make {other}", key=f"role {name}"):
            _change(name, {"role": other})
        if switch.button("Disable" if account["enabled"] else "Enable", key=f"enabled {name}"):
            _change(name, {"enabled": not account["enabled"]})
        if reset.button("New password", key=f"reset {name}"):
            with told():
                _password(send("PATCH", "admin", "users", name, body={"reset_password": True}))
        sure = remove.checkbox("Really remove", key=f"sure {name}")
        if remove.button("Remove", key=f"remove {name}", disabled=not sure):
            with told():
                send("DELETE", "admin", "users", name)
                st.rerun()


def _change(name: str, body: dict[str, Any]) -> None:
    with told():
        send("PATCH", "admin", "users", name, body=body)
        st.rerun()


def _password(made: dict[str, Any]) -> None:
    st.success(f"{made['username']} logs in once with this password and must then change it. It is shown only now.")
    st.code(made["password"], language=None)


def show_audit() -> None:
    admin_only()
    st.title("Audit")
    with told():
        who, what = st.columns(2)
        actor = who.text_input("By", placeholder="anyone")
        action = what.text_input("Action", placeholder="any")
        asked = {name: value.strip() for name, value in (("actor", actor), ("action", action)) if value.strip()}
        st.dataframe(read("admin", "audit", limit=500, **asked), hide_index=True, height=640)


def show_system() -> None:
    admin_only()
    st.title("System")
    _state()


@st.fragment(run_every=10)
def _state() -> None:
    """Polls; stops with the session."""
    admin_only()
    with told():
        status = desk().gateway.status()
        st.markdown(
            f"The system is **{status['status']}**; model version **{status['model_version'] or 'none'}** serves."
        )
        for part in status["dependencies"]:
            detail = f": {part['detail']}" if part["detail"] else ""
            st.markdown(f"{_MARKS[part['state']]} **{part['name']}** is {part['state']}{detail}")
        places = [place for place in read("stations") if place["latest"]]
        if places:
            newest = max(place["latest"] for place in places)
            late = sorted(place["name"] for place in places if place["latest"] < newest)
            st.markdown(f"Newest observation: **{newest}**, of {len(places) - len(late)} stations.")
            if late:
                st.caption("Older at: " + ", ".join(late))
        else:
            st.markdown("There are no observations yet.")
