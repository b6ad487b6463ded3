"""For admins: accounts and API keys."""

from datetime import datetime
from typing import Any

import streamlit as st

from streamlit_app.context import words
from streamlit_app.ui import admin_only, confirmed, plain, read, send, show_errors

_ROLES = ("user", "admin")


def show() -> None:
    who = admin_only()
    t = words()
    st.title(t("page.users"))
    with show_errors():
        with st.form("new", clear_on_submit=True):
            name, role = st.columns([3, 1])
            username = name.text_input(t("users.name"))
            wanted = role.selectbox(t("users.role"), _ROLES, format_func=lambda role: t(f"role.{role}"))
            if st.form_submit_button(t("users.make")) and username.strip():
                made = send("POST", "admin", "users", body={"username": username.strip(), "role": wanted})
                _password(made)
        for account in read("admin", "users"):
            _account(account, account["username"] == who.username)
        _keys()


def _account(account: dict[str, Any], own: bool) -> None:
    t = words()
    name, shown = account["username"], plain(account["username"])
    state = "" if account["enabled"] else f" · {t('users.disabled')}"
    with st.expander(f"{shown} · {t('role.' + account['role'])}{state}"):
        if own:
            st.caption(t("users.own"))
            return
        role, switch, reset, remove = st.columns(4)
        other = "user" if account["role"] == "admin" else "admin"
        with role:
            asked = t("users.role_sure", name=shown, role=t(f"role.{other}"))
            if confirmed(t(f"users.make_{other}"), asked, f"role {name}"):
                _change(name, {"role": other})
        with switch:
            does = "disable" if account["enabled"] else "enable"
            if confirmed(t(f"users.{does}"), t(f"users.{does}_sure", name=shown), f"enabled {name}"):
                _change(name, {"enabled": not account["enabled"]})
        with reset:
            if confirmed(t("users.reset"), t("users.reset_sure", name=shown), f"reset {name}"):
                with show_errors():
                    _password(send("PATCH", "admin", "users", name, body={"reset_password": True}))
        with remove:
            if confirmed(t("users.remove"), t("users.remove_sure", name=shown), f"remove {name}"):
                with show_errors():
                    send("DELETE", "admin", "users", name)
                    st.rerun()


def _change(name: str, body: dict[str, Any]) -> None:
    with show_errors():
        send("PATCH", "admin", "users", name, body=body)
        st.rerun()


def _keys() -> None:
    """Everybody's API keys."""
    t = words()
    st.header(t("users.keys"))
    keys = read("admin", "keys")
    if not keys:
        st.info(t("users.no_keys"))
    for key in keys:
        owner, label = plain(key["username"]), plain(key["label"])
        made, until = (t.day(datetime.fromisoformat(key[name]).date()) for name in ("created_at", "expires_at"))
        row, action = st.columns([3, 1], vertical_alignment="center")
        row.markdown(f"**{owner}** · `{key['prefix']}…` {label} · {t('users.key', made=made, until=until)}")
        with action:
            if confirmed(t("users.revoke"), t("users.revoke_sure", name=owner, label=label), f"key {key['prefix']}"):
                with show_errors():
                    send("DELETE", "admin", "keys", key["prefix"])
                    st.rerun()


def _password(made: dict[str, Any]) -> None:
    st.success(words()("users.password", name=plain(made["username"])))
    st.code(made["password"], language=None)
