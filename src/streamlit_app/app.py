"""The console as one ASGI application: Streamlit's pages behind our own login."""

from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from streamlit_app.context import AppContext, configure
from streamlit_app.login import Gate, routes

SCRIPT = Path(__file__).with_name("navigation.py")


def create_app(context: AppContext, url: str = "") -> st.App:
    """`url` is where browsers reach the console; empty: wherever they do, over http."""
    configure(context)
    return st.App(
        SCRIPT,
        routes=routes(context, url.startswith("https://")),
        middleware=[Middleware(Gate, context=context, url=url)],
    )
