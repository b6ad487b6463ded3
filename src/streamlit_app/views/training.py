"""For admins: have a challenger trained and watch it."""

import math
from contextlib import suppress

import streamlit as st

from meteo.errors import InvalidInput
from streamlit_app.context import words
from streamlit_app.drafts import TYPED
from streamlit_app.ui import admin_only, every, read, show_errors, table
from streamlit_app.views.model_card import SCORES
from streamlit_app.views.runs import launch, live

_KINDS = ("xgboost", "logistic", "random_forest")


def show() -> None:
    admin_only()
    t = words()
    st.title(t("page.training"))
    left, right = st.columns(2, gap="large")
    with left:
        _form()
    with right:
        live("training")
    _published()


def _form() -> None:
    t = words()
    with st.form("training"):
        st.header(t("training.launch_title"))
        kind = st.selectbox(t("training.kind"), _KINDS, format_func=lambda kind: t(f"kind.{kind}"))
        text = st.text_area(
            t("training.params"),
            placeholder="max_depth = 6\neta = 0.02",
            height=100,
            help=t("training.params_help"),
            key=f"{TYPED}training params",
        )
        search = st.number_input(t("training.search"), 0, 100, 0, help=t("training.search_help"))
        st.caption(t("training.gate"))
        if st.form_submit_button(t("training.launch"), type="primary"):
            try:
                launch("training", {"model": kind, "params": parameters(text), "search": search})
            except InvalidInput as error:
                st.error(t("training.bad_line", line=error.detail))


def parameters(text: str) -> dict[str, float | int | str]:
    """Lines of `name = value`; InvalidInput holds the line that is none."""
    found: dict[str, float | int | str] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, given, value = (part.strip() for part in line.partition("="))
        if not (name.isidentifier() and given and value):
            raise InvalidInput(line)
        found[name] = _value(value)
    return found


def _value(text: str) -> float | int | str:
    for kind in (int, float):
        with suppress(ValueError):
            number = kind(text)
            if math.isfinite(number):
                return number
    return text


@every(6)
def _published() -> None:
    t = words()
    with show_errors():
        st.header(t("training.published"))
        table(
            [
                {
                    "version": model["version"],
                    "aliases": ", ".join(t.known(f"alias.{name}", name) for name in model["aliases"]),
                    "kind": model["kind"],
                    **{name: model["metrics"].get(name) for name in SCORES},
                    "simulated": model["simulated"],
                }
                for model in read("admin", "models")
            ]
        )
