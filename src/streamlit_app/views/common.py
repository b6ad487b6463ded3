"""What the pages share: who may see them, how errors are said, and how a session is spoken for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import streamlit as st

from meteo.errors import MeteoError, NotAuthenticated
from streamlit_app.desk import desk, identity
from streamlit_app.session import Identity


def admin_only() -> Identity:
    """Whoever is at the browser, if an admin; else the page ends here. The gateway refuses as well."""
    who = identity()
    if who.role != "admin":
        st.error("This page needs the role admin.")
        st.stop()
    return who


@contextmanager
def told() -> Iterator[None]:
    """An error of the gateway is said on the page; the end of the session is `identity`'s to say."""
    try:
        yield
    except NotAuthenticated:
        raise
    except MeteoError as error:
        st.error(f"**{error.title}**: {error.detail}", icon=":material/error:")


def read(*path: str, **params: Any) -> Any:
    """What the gateway answers to a GET, for whoever is at the browser."""
    return desk().gateway.read(identity().access, *path, **params)


def send(method: str, *path: str, body: Any = None) -> Any:
    """The same of what changes something."""
    return desk().gateway.send(identity().access, method, *path, body=body)
