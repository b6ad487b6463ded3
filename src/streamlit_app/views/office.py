"""For admins: accounts, the audit trail, and the state of every part."""

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from streamlit_app.context import app_context, words
from streamlit_app.views.common import admin_only, confirmed, every, plain, read, send, show_errors, table

_MARKS = {"up": ":material/check_circle:", "down": ":material/error:"}
_ROLES = ("user", "admin")


def show_users() -> None:
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


def show_audit() -> None:
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


def show_system() -> None:
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
