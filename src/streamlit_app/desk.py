"""What the pages work with: set once at start, read by every script run."""

from dataclasses import dataclass, field

import streamlit as st

from meteo.errors import NotAuthenticated
from streamlit_app.client import Gateway
from streamlit_app.metrics import ConsoleMetrics
from streamlit_app.session import COOKIE, ConsoleSessions, Identity


@dataclass(frozen=True)
class Desk:
    gateway: Gateway
    sessions: ConsoleSessions
    metrics: ConsoleMetrics = field(default_factory=ConsoleMetrics)


_desk: Desk | None = None


def configure(desk: Desk) -> None:
    """Called once by the process that serves the console."""
    global _desk
    _desk = desk


def desk() -> Desk:
    if _desk is None:
        raise RuntimeError("the console is started by `python -m streamlit_app`")
    return _desk


def identity() -> Identity:
    """Who is at the browser now; where nobody is, says so with a way back in, and ends the run."""
    try:
        return desk().sessions.identify(st.context.cookies.get(COOKIE))
    except NotAuthenticated:
        st.warning("You are not logged in any more. What you typed stays on this page until you leave it.")
        st.markdown('<a href="/login" target="_blank">Log in again</a>', unsafe_allow_html=True)
        st.stop()
