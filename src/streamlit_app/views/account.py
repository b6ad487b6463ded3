"""One's own account: password, API keys, language."""

from datetime import datetime

import streamlit as st

from streamlit_app import language
from streamlit_app.context import identity, words
from streamlit_app.ui import confirmed, plain, read, send, show_errors


def show() -> None:
    who = identity()
    t = words()
    st.title(t("page.account"))
    st.markdown(t("account.who", name=plain(who.username), role=t(f"role.{who.role}")))
    left, right = st.columns(2, gap="large")
    with left:
        _password()
        _language()
    with right:
        _keys()


def show_password() -> None:
    """All there is for those whose password an admin has given."""
    identity()
    t = words()
    st.title(t("account.choose"))
    st.info(t("account.given"))
    _password()


def _password() -> None:
    t = words()
    st.header(t("account.password"))
    with st.form("password", clear_on_submit=True):
        old = st.text_input(t("account.present"), type="password")
        new = st.text_input(t("account.new"), type="password", help=t("account.password_help"))
        again = st.text_input(t("account.again"), type="password")
        if st.form_submit_button(t("account.change")):
            if new != again:
                st.error(t("account.differ"))
            else:
                with show_errors():
                    send("POST", "me", "password", body={"current": old, "new": new})
                    st.success(t("account.changed"))
                    st.markdown(
                        f'<a href="/logout" target="_self">{t("account.log_in_anew")}</a>', unsafe_allow_html=True
                    )


def _language() -> None:
    t = words()
    st.header(t("account.language"))
    for code, name in language.NAMES.items():
        if code == t.code:
            st.markdown(f"**{name}** ({t('account.language_now')})")
        else:
            link = f'<a href="/language?to={code}&next=/account" target="_self" lang="{code}">{name}</a>'
            st.markdown(link, unsafe_allow_html=True)


def _keys() -> None:
    t = words()
    st.header(t("account.keys"))
    st.markdown(t("account.keys_help"))
    with show_errors():
        with st.form("key", clear_on_submit=True):
            label = st.text_input(t("account.key_label"), max_chars=60)
            days = st.number_input(t("account.key_days"), 1, 365, 90)
            if st.form_submit_button(t("account.make_key")) and label.strip():
                st.code(send("POST", "me", "keys", body={"label": label.strip(), "days": days})["key"], language=None)
        for key in read("me", "keys"):
            name, action = st.columns([3, 1], vertical_alignment="center")
            until = t("account.key_until", day=t.day(datetime.fromisoformat(key["expires_at"]).date()))
            name.markdown(f"`{key['prefix']}…` {plain(key['label'])}, {until}")
            with action:
                asked = t("account.revoke_sure", label=plain(key["label"]))
                if confirmed(t("account.revoke"), asked, f"revoke {key['prefix']}"):
                    send("DELETE", "me", "keys", key["prefix"])
                    st.rerun()
