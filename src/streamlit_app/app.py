"""The console as one ASGI application: Streamlit's pages behind our own login."""

from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from streamlit_app import desk as desks
from streamlit_app.desk import Desk
from streamlit_app.signin import Gate, routes

SCRIPT = Path(__file__).with_name("pages_script.py")


def create_app(desk: Desk, secure: bool) -> st.App:
    """`secure`: the console is reached over https."""
    desks.configure(desk)
    return st.App(SCRIPT, routes=routes(desk, secure), middleware=[Middleware(Gate, desk=desk)])
