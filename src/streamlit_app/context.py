"""What the pages work with: set once at start, read by every script run."""

from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import streamlit as st

from meteo.errors import NotAuthenticated
from streamlit_app import language as languages
from streamlit_app.client import Gateway
from streamlit_app.drafts import Drafts
from streamlit_app.language import Language
from streamlit_app.metrics import ConsoleMetrics
from streamlit_app.session import COOKIE, ConsoleSessions, Identity

_WHO = "username"


@dataclass(frozen=True)
class AppContext:
    """`links`: other parts' own pages for admins, by name."""

    gateway: Gateway
    sessions: ConsoleSessions
    drafts: Drafts
    metrics: ConsoleMetrics = field(default_factory=ConsoleMetrics)
    links: dict[str, str] = field(default_factory=dict)


_context: AppContext | None = None


def configure(context: AppContext) -> None:
    """Called once by the process that serves the console."""
    global _context
    _context = context


def app_context() -> AppContext:
    if _context is None:
        raise RuntimeError("the console is started by `python -m streamlit_app`")
    return _context


def words() -> Language:
    """The language of whoever is at the browser: chosen, or the browser's."""
    return languages.preferred(st.context.cookies.get(languages.COOKIE), st.context.headers.get("Accept-Language"))


def identity() -> Identity:
    """Who is at the browser now. Where nobody is any more, keeps what was typed, says so with a way back in, and ends
    the run."""
    try:
        who = app_context().sessions.identify(st.context.cookies.get(COOKIE))
    except NotAuthenticated:
        if known := st.session_state.get(_WHO):
            app_context().drafts.keep(known, st.session_state)
        t = words()
        st.warning(t("session.ended"))
        here = urlsplit(st.context.url or "/")
        back = quote(here.path + (f"?{here.query}" if here.query else ""), safe="")
        st.markdown(
            f'<a href="/login?next={back}" target="_self">{t("session.log_in_again")}</a>', unsafe_allow_html=True
        )
        st.stop()
    if _WHO not in st.session_state:
        st.session_state[_WHO] = who.username
        if typed := app_context().drafts.take(who.username):
            st.session_state.update(typed)
            st.toast(words()("session.typed_is_back"))
    return who
