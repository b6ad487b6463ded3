"""The forecast page: a station's newest observation, changed as the user likes, and the chance of rain after it."""

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import streamlit as st

from meteo.errors import InvalidInput
from meteo.observation import BY_NAME, COMPASS, FIELDS, Field
from meteo.schemas.forecasts import Prediction
from meteo.schemas.observations import DayBody, StationBody
from streamlit_app.context import app_context, identity, words
from streamlit_app.drafts import TYPED
from streamlit_app.ui import plain, show_errors
from streamlit_app.views.explanation import in_words, show_reasons

_BLOCKS = ("day", "9am", "3pm")
_STALE_DAYS = 3
_EARTH_KM = 6371


def show() -> None:
    who = identity()
    t = words()
    gateway = app_context().gateway
    st.title(t("forecast.title"))
    stations = {station.name: station for station in gateway.stations(who.access)}
    station = stations[_choose(stations)]
    days = gateway.observations(who.access, station.name)
    newest = days[-1] if days else None
    _say_how_fresh(station, newest)
    prefix = f"{station.name} {newest.date if newest else ''}"
    wrong, answered = f"wrong {prefix}", f"answer {station.name}"
    day, observation = _form(station, newest, prefix, st.session_state.get(wrong, {}))
    if observation is not None:
        st.session_state.pop(answered, None)
        said = st.session_state.pop(wrong, None)
        body = {"station": station.name, "date": day.isoformat(), "observation": observation, "explain": True}
        with show_errors():
            try:
                st.session_state[answered] = gateway.predict(who.access, body)
                if said:  # beside fields that are right now
                    st.rerun()
            except InvalidInput as error:
                st.session_state[wrong] = {name.rpartition(".")[2]: message for name, message in error.fields}
                st.rerun()
    if answered in st.session_state:
        _answer(st.session_state[answered], station, who.access)


def _choose(stations: Mapping[str, StationBody]) -> str:
    """The station asked for in the address, picked from the list, or nearest to a place."""
    t = words()
    names, key = list(stations), f"{TYPED}station"
    asked = st.query_params.pop("station", None)
    if asked is not None and asked not in names:
        st.error(t("forecast.no_such_station", name=plain(asked[:64])))
    st.session_state[key] = asked if asked in names else st.session_state.get(key, "Sydney")
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    with right.popover(t("forecast.nearest"), icon=":material/near_me:", width="stretch"):
        latitude = st.number_input(t("forecast.latitude"), -90.0, 90.0, None, format="%.3f", placeholder="-33.861")
        longitude = st.number_input(t("forecast.longitude"), -180.0, 180.0, None, format="%.3f", placeholder="151.205")
        if st.button(t("forecast.find")) and latitude is not None and longitude is not None:
            nearest = min(stations.values(), key=lambda place: kilometres(place, latitude, longitude))
            st.session_state[key] = nearest.name
            far = t.number(kilometres(nearest, latitude, longitude))
            st.caption(t("forecast.found", name=nearest.name, far=far))
    chosen: str = left.selectbox(t("common.station"), names, key=key)
    return chosen


def kilometres(place: StationBody, latitude: float, longitude: float) -> float:
    """Along the great circle (haversine)."""
    one, two = math.radians(place.latitude), math.radians(latitude)
    across = math.radians(longitude - place.longitude)
    half = math.sin((two - one) / 2) ** 2 + math.cos(one) * math.cos(two) * math.sin(across / 2) ** 2
    return 2 * _EARTH_KM * math.asin(math.sqrt(half))


def _say_how_fresh(station: StationBody, newest: DayBody | None) -> None:
    t = words()
    if newest is None:
        st.info(t("forecast.no_observations", name=station.name))
        return
    age = (datetime.now(UTC).astimezone(ZoneInfo(station.timezone)).date() - newest.date).days
    text = t("forecast.newest", day=t.day(newest.date))
    if age > _STALE_DAYS:
        st.warning(t("forecast.stale", newest=text, days=t.number(age)))
    else:
        st.caption(text)


def _form(
    station: StationBody, newest: DayBody | None, prefix: str, wrong: Mapping[str, str]
) -> tuple[date, dict[str, float | str] | None]:
    """The day and, once submitted, the fields that are known; `wrong` says what was amiss with a field."""
    t = words()
    known = newest.observation if newest else {}
    today = datetime.now(UTC).astimezone(ZoneInfo(station.timezone)).date()
    with st.form(f"form {prefix}"):
        key = f"{TYPED}date {prefix}"
        st.session_state.setdefault(key, newest.date if newest else today)
        day: date = st.date_input(t("forecast.day"), max_value=today, key=key, format="DD/MM/YYYY")
        _say_wrong(wrong.get("date"))
        given: dict[str, float | str] = {}
        for column, block in zip(st.columns(3), _BLOCKS, strict=True):
            with column:
                st.header(t(f"forecast.block_{block}"))
                for field in (field for field in FIELDS if field.block == block):
                    value = _input(field, known.get(field.name), f"{TYPED}{field.name} {prefix}")
                    _say_wrong(wrong.get(field.name))
                    if value is not None:
                        given[field.name] = value
        st.caption(t("forecast.leave_empty"))
        for name in wrong.keys() - {"date", *BY_NAME}:
            _say_wrong(f"{name}: {wrong[name]}")
        submitted = st.form_submit_button(t("forecast.submit"), type="primary")
    if submitted and not given:
        st.error(t("forecast.nothing_given"))
        return day, None
    return day, given if submitted else None


def _say_wrong(message: str | None) -> None:
    if message is not None:
        st.error(words()("error.field", message=plain(message)), icon=":material/error:")


def _input(field: Field, known: float | str | None, key: str) -> float | str | None:
    """A widget that can be left empty; it starts at the observed value."""
    t = words()
    label, empty = t(f"field.{field.name}"), t("forecast.unknown")
    if field.compass:
        st.session_state.setdefault(key, known)
        direction: str | None = st.selectbox(label, COMPASS, index=None, key=key, placeholder=empty)
        return direction
    st.session_state.setdefault(key, None if known is None else float(known))
    whole = field.unit in ("%", "oktas", "km/h")
    value: float | None = st.number_input(
        f"{label} ({t(f'unit.{field.unit}')})",
        float(field.low),
        float(field.high),
        None,
        step=1.0 if whole else 0.1,
        format="%.0f" if whole else "%.1f",
        key=key,
        placeholder=empty,
        help=t("forecast.range", low=t.number(field.low), high=t.number(field.high), unit=t(f"unit.{field.unit}")),
    )
    return value


def _answer(answer: Prediction, station: StationBody, access: str) -> None:
    t = words()
    with st.container(border=True):
        left, right = st.columns([2, 3], gap="large")
        with left:
            st.metric(t("column.chance"), t.percent(answer.probability))
            st.markdown(f"**{in_words(answer.probability)}**")
            st.markdown(
                t(
                    "forecast.period",
                    start=t.moment(answer.period.start),
                    end=t.moment(answer.period.end),
                    name=station.name,
                )
            )
            verdict = t(
                "forecast.verdict_rain" if answer.rain_tomorrow else "forecast.verdict_dry",
                threshold=t.percent(answer.threshold),
            )
            st.markdown(verdict)
            if answer.usual is not None:
                st.markdown(_compared(answer, answer.usual, station))
            with show_errors():
                if said := _track_record(answer, access):
                    st.markdown(said)
            _fine_print(answer)
        with right:
            show_reasons(answer)


def _compared(answer: Prediction, usual: float, station: StationBody) -> str:
    t = words()
    month = t(f"month.{answer.period.start.month}")
    ratio = answer.probability / usual
    how = "more" if ratio > 1.25 else "less" if ratio < 0.8 else "alike"
    return t(f"forecast.usual_{how}", name=station.name, month=month, usual=t.percent(usual))


def _track_record(answer: Prediction, access: str) -> str | None:
    """How often it rained when the version gave such a chance, on the days it had not seen; None where it is not
    known of this version."""
    t = words()
    card = app_context().gateway.read(access, "model")
    if card["version"] != answer.model.version or not card.get("holdout"):
        return None
    tenth = min(int(answer.probability * 10), 9)
    bin_ = next((row for row in card["holdout"]["reliability"] if min(int(row["forecast"] * 10), 9) == tenth), None)
    if bin_ is None:
        return t("forecast.no_track_record")
    return t(
        "forecast.track_record",
        low=t.percent(tenth / 10),
        high=t.percent((tenth + 1) / 10),
        observed=t.percent(bin_["observed"]),
        n=t.number(bin_["n"]),
    )


def _fine_print(answer: Prediction) -> None:
    t = words()
    demo = f" · {t('forecast.from_demo')}" if answer.simulated else ""
    st.caption(
        t("forecast.model", name=answer.model.name, version=answer.model.version, id=answer.prediction_id) + demo
    )
    others = "some" if answer.neighbours_used else "none"
    st.caption(t(f"forecast.neighbours_{others}", n=answer.neighbours_used))
    if answer.missing:
        st.caption(t("forecast.missing", names=", ".join(t(f"field.{name}") for name in answer.missing)))
