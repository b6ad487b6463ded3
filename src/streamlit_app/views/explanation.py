"""A probability, and the features that moved it, in people's words."""

import re

from meteo.observation import BY_NAME
from meteo.schemas.forecasts import Prediction
from streamlit_app.context import words
from streamlit_app.ui import DRY, RAIN, bars, chart

_REASONS = 8
_AROUND = {
    r"_at_[A-Z]\w+$": "map",
    r"_less_\w+$": "map_differences",
    r"_near_\d+_km$": "near",
    r"_near_\d+_km_yesterday$": "near_yesterday",
    r"_anomaly$": "anomaly",
    r"_(north|east|south|west)_\d+_km$": "side",
    r"_(north|east|south|west)_\d+_km_yesterday$": "side_yesterday",
}
"""What the name of a feature of the surroundings ends with, and the words for it."""


def show_reasons(answer: Prediction) -> None:
    t = words()
    effects: dict[str, float] = {}
    for reason in answer.contributions or []:
        label = feature_words(reason.feature, reason.value)
        effects[label] = effects.get(label, 0) + reason.effect
    strongest = sorted(effects.items(), key=lambda entry: -abs(entry[1]))[:_REASONS]
    rain, dry = t("forecast.towards_rain"), t("forecast.towards_dry")
    rows = [{"reason": label, "effect": effect, "towards": rain if effect > 0 else dry} for label, effect in strongest]
    chart(bars(rows, t("forecast.reasons"), t("forecast.effect"), {rain: RAIN, dry: DRY}))


def feature_words(feature: str, value: float | None = None, named_only: bool = False) -> str:
    """What people call a feature, with its value where it is the day's own reading unless `named_only`."""
    t = words()
    field = BY_NAME.get(feature)
    if field is not None and not named_only:
        said = t("forecast.unknown") if value is None else f"{t.number(value, 1)} {t(f'unit.{field.unit}')}"
        return t("feature.reading", name=t(f"field.{feature}"), value=said)
    if feature.startswith("season"):
        return t("feature.season")
    for ending, said in _AROUND.items():
        if match := re.search(ending, feature):
            if said.startswith("map"):
                return t(f"feature.{said}")
            what = feature[: match.start()]
            side = {"side": t(f"feature.{match[1]}")} if match.groups() else {}
            return t(f"feature.{said}", what=name_of(what), **side)
    return name_of(feature)


def name_of(feature: str) -> str:
    """Of a reading or of what is derived from readings; of a wind's two components one name."""
    t = words()
    if feature in BY_NAME:
        return t(f"field.{feature}")
    return t.known(f"feature.{feature}", "") or t(f"feature.wind_{feature.rpartition('_')[2]}")


def in_words(probability: float) -> str:
    """As so many in ten."""
    t = words()
    tenths = round(probability * 10)
    if tenths == 0:
        return t("forecast.hardly_ever")
    if tenths == 10:
        return t("forecast.nearly_always")
    return t("forecast.tenths", tenths=tenths)
