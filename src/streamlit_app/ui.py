"""What the pages share: who may see them, how errors are said, tables, charts, confirmations."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import altair as alt
import streamlit as st

from meteo.errors import MeteoError, NotAuthenticated
from streamlit_app.context import app_context, identity, words
from streamlit_app.session import Identity

Layers = alt.LayerChart | alt.FacetChart
RAIN, DRY, MUTED = "#1f77b4", "#c77d11", "#8a8f98"
"""Of what is wet, of what is not, and of what only helps to read: apart in light and dark, and for the colour-blind."""

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!$:~<>|^])")
_MOMENTS = ("asked_at", "started_at", "published_at", "at")


def admin_only() -> Identity:
    """Whoever is at the browser, if an admin; else the page ends here. The gateway refuses as well."""
    who = identity()
    if who.role != "admin":
        st.error(words()("error.admins_only"))
        st.stop()
    return who


@contextmanager
def show_errors() -> Iterator[None]:
    """An error of the gateway is said on the page: what failed, whether data are safe, what to do, and the request's
    id; the end of the session is `identity`'s to say."""
    try:
        yield
    except MeteoError as error:
        if isinstance(error, NotAuthenticated):
            identity()
        t = words()
        kind = type(error).__name__
        what = t.known(f"error.{kind}", t("error.MeteoError"))
        st.error(f"**{what}**  \n{plain(error.detail)}", icon=":material/error:")


def read(*path: str, **params: Any) -> Any:
    """What the gateway answers to a GET, for whoever is at the browser."""
    return app_context().gateway.read(identity().access, *path, **params)


def send(method: str, *path: str, body: Any = None) -> Any:
    """The same of what changes something."""
    return app_context().gateway.send(identity().access, method, *path, body=body)


def plain(text: str) -> str:
    """Others' text, of which Markdown makes nothing."""
    return _MARKDOWN.sub(r"\\\1", text)


def chart(drawn: alt.Chart | Layers, **options: Any) -> Any:
    """The chart as wide as there is room, with the reader's numbers and days."""
    return st.altair_chart(drawn.configure(locale=words().charts()), width="stretch", **options)


def table(rows: Sequence[Mapping[str, Any]], **options: Any) -> Any:
    """Rows with the reader's words for the columns."""
    t = words()
    names = dict.fromkeys(name for row in rows for name in row)
    shown = [{**row, "chance": row["chance"] and 100 * row["chance"]} if "chance" in row else row for row in rows]
    return st.dataframe(
        shown,
        hide_index=True,
        column_config={name: _column(name, t(f"column.{name}"), [row.get(name) for row in rows]) for name in names},
        **options,
    )


def _column(name: str, title: str, values: Sequence[Any]) -> Any:
    if name == "chance":
        return st.column_config.ProgressColumn(title, format="%.0f%%", min_value=0, max_value=100)
    if name in _MOMENTS:
        return st.column_config.DatetimeColumn(title, format="localized")
    if any(isinstance(value, float) for value in values):
        return st.column_config.NumberColumn(title, format="localized")
    return st.column_config.Column(title)


def confirmed(label: str, question: str, key: str, **options: Any) -> bool:
    """Whether what `label` names was asked for, and then again after `question`."""
    with st.popover(label, **options):
        st.markdown(question)
        return st.button(words()("common.confirm"), key=f"confirm {key}", type="primary")


def reliability(bins: Sequence[Mapping[str, float]]) -> Layers:
    """How often it rained when such a chance was given; on the diagonal, forecasts are reliable."""
    t = words()
    rows = alt.InlineData(values=[{name: row[name] for name in ("n", "forecast", "observed")} for row in bins])
    whole, percent = alt.Scale(domain=[0, 1]), alt.Axis(format="%")
    axes = {
        "x": alt.X("forecast:Q", title=t("column.forecast"), scale=whole, axis=percent),
        "y": alt.Y("observed:Q", title=t("column.observed"), scale=whole, axis=percent),
    }
    ideal = alt.InlineData(values=[{"forecast": 0, "observed": 0}, {"forecast": 1, "observed": 1}])
    diagonal = alt.Chart(ideal).mark_line(strokeDash=[4, 4], color=MUTED)
    points = alt.Chart(rows).mark_line(point=alt.OverlayMarkDef(size=90, filled=True, color=RAIN), color=RAIN)
    tooltip = [alt.Tooltip("forecast:Q", format=".0%"), alt.Tooltip("observed:Q", format=".0%"), "n:Q"]
    counts = alt.Chart(rows).mark_text(dy=-12, color=ink()).encode(text=alt.Text("n:Q", format=","), **axes)
    return alt.layer(diagonal.encode(**axes), points.encode(tooltip=tooltip, **axes), counts).properties(
        title=t("quality.reliability"), height=380
    )


def bars(
    rows: Sequence[Mapping[str, Any]], title: str, effect: str, towards: Mapping[str, str] | None = None
) -> Layers:
    """A bar for each row's `effect` (named `effect`) under its `reason`; the colours of what they speak for are
    `towards`, of each row's `towards`."""
    t = words()
    place = alt.Y("reason:N", sort=None, axis=None)
    base = alt.Chart(alt.InlineData(values=list(rows)), title=title, height=alt.Step(44))
    tooltip = [alt.Tooltip("reason:N", title=t("column.reason")), alt.Tooltip("effect:Q", title=effect, format="+.2f")]
    colour = (
        alt.value(RAIN)
        if towards is None
        else alt.Color(
            "towards:N",
            title=None,
            legend=alt.Legend(orient="bottom"),
            scale=alt.Scale(domain=list(towards), range=list(towards.values())),
        )
    )
    drawn = base.mark_bar(height=12, yOffset=9).encode(
        x=alt.X("effect:Q", title=effect), y=place, color=colour, tooltip=tooltip
    )
    labels = base.mark_text(align="left", baseline="bottom", yOffset=1, fontSize=13, color=ink()).encode(
        x=alt.value(2), y=place, text="reason:N"
    )
    return alt.layer(drawn, labels)


def ink() -> str:
    """Of text in charts, on what the page is drawn on."""
    return "#f2f5f7" if st.context.theme.type == "dark" else "#14212b"


def every(seconds: float) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A part of a page that polls; it stops with the session."""
    return st.fragment(run_every=seconds)
