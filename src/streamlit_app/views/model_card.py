"""The served model: what it learnt from, how good it is, where it is not, what it looks at."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import altair as alt
import streamlit as st

from streamlit_app.context import words
from streamlit_app.ui import DRY, RAIN, Layers, bars, chart, read, reliability, show_errors, table
from streamlit_app.views.explanation import feature_words

SCORES = ("roc_auc", "brier", "log_loss", "ece", "accuracy", "precision", "recall", "f1")
_FEATURES = 10
_LIMITS = 4


def show() -> None:
    t = words()
    st.title(t("page.model"))
    with show_errors():
        card = read("model")
        split = {name: t.day(date.fromisoformat(day)) for name, day in card["split"].items()}
        st.markdown(
            t(
                "model.served",
                version=card["version"],
                kind=card["kind"],
                trained=t.day(datetime.fromisoformat(card["trained_at"])),
                start=split["train_start"],
                n=t.number(len(card["features"])),
            )
        )
        if card["simulated"]:
            st.warning(t("model.simulated"))
        st.header(t("model.scores"))
        st.markdown(
            t(
                "model.holdout",
                start=split["test_start"],
                end=split["test_end"],
                n=t.number(card["metrics"]["n"]),
                wet=t.percent(card["metrics"]["base_rate"]),
            )
        )
        table(scores(card))
        st.caption(t("model.scores_help"))
        if holdout := card.get("holdout"):
            _pictures(holdout)
        st.header(t("model.limits"))
        st.markdown("\n".join(f"- {t(f'model.limit_{number}')}" for number in range(1, _LIMITS + 1)))
        with st.expander(t("model.origin")):
            st.markdown(
                t(
                    "model.origin_text",
                    data=card["data_version"],
                    commit=card["git_commit"],
                    seed=card["seed"],
                    threshold=t.percent(card["threshold"]),
                )
            )
            st.json(card["params"])


def scores(card: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The model's, with 90 % intervals where they are known, and those of its rivals."""
    t = words()
    low, high = (card.get("holdout") or {}).get("intervals", {}).get("brier", (None, None))
    rows = [
        {
            "model": t("model.this"),
            **{name: card["metrics"].get(name) for name in SCORES},
            "interval": "" if low is None else t.between(low, high, 4),
        }
    ]
    for name, found in card["baselines"].items():
        rows.append(
            {"model": t.known(f"model.{name}", name), **{score: found.get(score) for score in SCORES}, "interval": ""}
        )
    return rows


def _pictures(holdout: Mapping[str, Any]) -> None:
    t = words()
    left, right = st.columns(2, gap="large")
    with left:
        chart(reliability(holdout["reliability"]))
        st.caption(t("model.reliability_help"))
    with right:
        if holdout["importance"]:
            chart(_importance(holdout["importance"]))
            st.caption(t("model.importance_help"))
        else:
            st.info(t("model.no_importance"))
    chart(_stations(holdout["stations"]))
    st.caption(t("model.stations_help"))


def _importance(effects: Mapping[str, float]) -> Layers:
    t = words()
    by_name: dict[str, float] = {}
    for feature, effect in effects.items():
        label = feature_words(feature, named_only=True)
        by_name[label] = by_name.get(label, 0) + effect
    strongest = sorted(by_name.items(), key=lambda entry: -entry[1])[:_FEATURES]
    rows = [{"reason": label, "effect": effect} for label, effect in strongest]
    return bars(rows, t("model.importance"), t("model.mean_effect"))


def _stations(found: Mapping[str, Mapping[str, float]]) -> Layers:
    t = words()
    ordered = sorted(found.items(), key=lambda entry: -entry[1]["brier_skill"])
    rows = alt.InlineData(values=[{"station": name, **scores} for name, scores in ordered])
    base = alt.Chart(rows, title=t("model.by_station")).encode(
        x=alt.X("station:N", sort=None, title=None, axis=alt.Axis(labelAngle=-60, labelOverlap=False)),
        y=alt.Y("brier_skill:Q", title=t("column.skill")),
        color=alt.condition("datum.brier_skill > 0", alt.value(RAIN), alt.value(DRY)),
        tooltip=[
            alt.Tooltip("station:N", title=t("column.station")),
            alt.Tooltip("brier_skill:Q", title=t("column.skill"), format=".3f"),
            "n:Q",
        ],
    )
    none = alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(color="#8a8f98").encode(y="zero:Q")
    return alt.layer(none, base.mark_circle(size=70)).properties(height=320)
