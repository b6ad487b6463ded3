"""The forecast page: a station's newest observation, changed as the user likes, and the chance of rain after it."""

import re
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import altair as alt
import pandas as pd
import streamlit as st

from meteo.contract import DayBody, Prediction, StationBody
from meteo.errors import InvalidInput
from meteo.observation import BY_NAME, COMPASS, FIELDS, Field
from streamlit_app.desk import desk, identity

_BLOCKS = (("day", "The day"), ("9am", "At 9am"), ("3pm", "At 3pm"))
_STALE_DAYS = 3
_REASONS = 8
_DERIVED = {
    "rain_today": "Rain today",
    "temp_range": "Daily temperature range",
    "dew_point_9am": "Dew point at 9am",
    "dew_point_3pm": "Dew point at 3pm",
    "pressure_since_yesterday": "Pressure since yesterday",
    "temp_change": "Temperature change 9am–3pm",
    "humidity_change": "Humidity change 9am–3pm",
    "pressure_change": "Pressure change 9am–3pm",
    "cloud_change": "Cloud change 9am–3pm",
    "wind_speed_change": "Wind change 9am–3pm",
    "latitude": "Place (latitude)",
    "longitude": "Place (longitude)",
    "elevation_m": "Elevation",
}
_AROUND = {
    r"_at_[A-Z]\w+$": "pressure across Australia",
    r"_less_\w+$": "pressure differences around here",
    r"_near_\d+_km$": "near by",
    r"_near_\d+_km_yesterday$": "near by yesterday",
    r"_anomaly$": "against the normal here",
    r"_(north|east|south|west)_\d+_km$": "to the {}",
    r"_(north|east|south|west)_\d+_km_yesterday$": "to the {} yesterday",
}
"""What the name of a feature of the surroundings ends with, and how people say it."""
_WINDS = {"gust": "Strongest gust", "9am": "Wind at 9am", "3pm": "Wind at 3pm"}


def show() -> None:
    who = identity()
    gateway = desk().gateway
    st.title("Will it rain?")
    stations = {station.name: station for station in gateway.stations(who.access)}
    names = list(stations)
    chosen = st.selectbox("Station", names, index=names.index("Sydney"))
    station = stations[chosen]
    days = gateway.observations(who.access, chosen)
    newest = days[-1] if days else None
    _say_how_fresh(station, newest)
    day, observation = _form(station, newest)
    key = f"answer {chosen}"
    if observation is not None:
        body = {"station": chosen, "date": day.isoformat(), "observation": observation, "explain": True}
        try:
            st.session_state[key] = gateway.predict(who.access, body)
        except InvalidInput as error:
            st.session_state.pop(key, None)
            _say_what_is_wrong(error)
    if key in st.session_state:
        _answer(st.session_state[key], station)


def _say_how_fresh(station: StationBody, newest: DayBody | None) -> None:
    if newest is None:
        st.info(f"There are no observations of {station.name} yet; fill in what you know.")
        return
    age = (datetime.now(UTC).astimezone(ZoneInfo(station.timezone)).date() - newest.date).days
    text = f"Newest observation: **{newest.date:%A} {newest.date.day} {newest.date:%B %Y}**"
    if age > _STALE_DAYS:
        st.warning(f"{text}, {age:,} days ago. A forecast made from it is for the day after it, not for tomorrow.")
    else:
        st.caption(text)


def _form(station: StationBody, newest: DayBody | None) -> tuple[date, dict[str, float | str] | None]:
    """The day and, once submitted, the fields that are known."""
    known = newest.observation if newest else {}
    prefix = f"{station.name} {newest.date if newest else ''}"
    today = datetime.now(UTC).astimezone(ZoneInfo(station.timezone)).date()
    with st.form(f"form {prefix}"):
        day: date = st.date_input(
            "Day observed", newest.date if newest else today, max_value=today, key=f"day {prefix}"
        )
        given: dict[str, float | str] = {}
        for column, (block, title) in zip(st.columns(3), _BLOCKS, strict=True):
            with column:
                st.subheader(title)
                for field in (field for field in FIELDS if field.block == block):
                    value = _input(field, known.get(field.name), f"{field.name} {prefix}")
                    if value is not None:
                        given[field.name] = value
        st.caption("Leave empty what is not known.")
        submitted = st.form_submit_button("Forecast rain", type="primary")
    if submitted and not given:
        st.error("Fill in at least one field.")
        return day, None
    return day, given if submitted else None


def _input(field: Field, known: float | str | None, key: str) -> float | str | None:
    """A widget that can be left empty; it starts at the observed value."""
    if field.compass:
        st.session_state.setdefault(key, known)
        direction: str | None = st.selectbox(field.label, COMPASS, index=None, key=key, placeholder="not known")
        return direction
    st.session_state.setdefault(key, None if known is None else float(known))
    whole = field.unit in ("%", "oktas", "km/h")
    value: float | None = st.number_input(
        f"{field.label} ({field.unit})", float(field.low), float(field.high), None, step=1.0 if whole else 0.1,
        format="%.0f" if whole else "%.1f", key=key, placeholder="not known",
        help=f"{field.low:g} to {field.high:g} {field.unit}",
    )  # fmt: skip
    return value


def _say_what_is_wrong(error: InvalidInput) -> None:
    for name, message in error.fields:
        field = BY_NAME.get(name.rpartition(".")[2])
        st.error(f"**{field.label if field else name}**: {message}")
    if not error.fields:
        st.error(error.detail)


def _answer(answer: Prediction, station: StationBody) -> None:
    left, right = st.columns([2, 3], gap="large")
    with left:
        st.metric("Chance of rain", f"{answer.probability:.0%}")
        st.markdown(f"**{_words(answer.probability)}**")
        verdict = "Rain" if answer.rain_tomorrow else "No rain"
        side = "at or above" if answer.rain_tomorrow else "below"
        st.markdown(f"Yes or no: **{verdict}** ({side} the threshold of {answer.threshold:.0%})")
        st.markdown(f"More than 1.0 mm from **{_instant(answer.period.start)}** to **{_instant(answer.period.end)}**, "
                    f"on the clock of {station.name}.")  # fmt: skip
        demo = " · learnt from DEMO data" if answer.simulated else ""
        st.caption(
            f"Model {answer.model.name}, version {answer.model.version}{demo} · prediction {answer.prediction_id}"
        )
        others = f"{answer.neighbours_used} other stations" if answer.neighbours_used else "no other station"
        st.caption(f"Known of that day: what {others} reported")
        if answer.missing:
            st.caption("Not known: " + ", ".join(BY_NAME[name].label for name in answer.missing))
    with right:
        _reasons(answer)


def _reasons(answer: Prediction) -> None:
    effects: dict[str, float] = {}
    for reason in answer.contributions or []:
        label = _label(reason.feature, reason.value)
        effects[label] = effects.get(label, 0) + reason.effect
    strongest = sorted(effects.items(), key=lambda entry: -abs(entry[1]))[:_REASONS]
    table = pd.DataFrame(
        {
            "reason": [label for label, _ in strongest],
            "effect": [effect for _, effect in strongest],
            "towards": ["rain" if effect > 0 else "no rain" for _, effect in strongest],
        }
    )
    chart = (
        alt.Chart(table, title="What moved the chance most", height=alt.Step(28))
        .mark_bar()
        .encode(
            x=alt.X("effect", title="effect on the log-odds of rain"),
            y=alt.Y("reason", sort=None, title=None, axis=alt.Axis(labelLimit=320, labelOverlap=False)),
            color=alt.Color(
                "towards",
                legend=alt.Legend(orient="bottom"),
                scale=alt.Scale(domain=["rain", "no rain"], range=["#1f77b4", "#d98c21"]),
            ),
            tooltip=["reason", "effect", "towards"],
        )
    )
    st.altair_chart(chart, width="stretch")


def _label(feature: str, value: float | None) -> str:
    field = BY_NAME.get(feature)
    if field is not None:
        return f"{field.label}: {'not known' if value is None else f'{value:g} {field.unit}'}"
    if feature.startswith("season"):
        return "Time of year"
    if feature == "rain_climate":
        return "How often it rains here in this month"
    for ending, words in _AROUND.items():
        if found := re.search(ending, feature):
            what = feature[: found.start()]
            if words.startswith("pressure"):
                return f"Weather map: {words}"
            name = BY_NAME[what].label if what in BY_NAME else _label(what, None)
            return f"{name}, {words.format(*found.groups())}"
    return _DERIVED.get(feature) or _WINDS[feature.rpartition("_")[2]]


def _words(probability: float) -> str:
    tenths = round(probability * 10)
    if tenths == 0:
        return "Rain on fewer than 1 in 20 such days"
    if tenths == 10:
        return "Rain on more than 19 in 20 such days"
    return f"Rain on about {tenths} in 10 such days"


def _instant(instant: datetime) -> str:
    return f"{instant:%-I%p}".lower() + f" {instant:%A} {instant.day} {instant:%B %Y}"
