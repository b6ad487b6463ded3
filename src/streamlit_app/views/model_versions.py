"""For admins: the champion and those who would replace it."""

from typing import Any

import streamlit as st

from streamlit_app.context import words
from streamlit_app.drafts import TYPED
from streamlit_app.ui import admin_only, plain, read, reliability, send, show_errors, table
from streamlit_app.ui import chart as drawn
from streamlit_app.views.model_card import SCORES, scores


def show() -> None:
    admin_only()
    t = words()
    st.title(t("page.models"))
    with show_errors():
        versions = read("admin", "models")
        if not versions:
            st.info(t("models.none"))
            return
        champion = next((row for row in versions if "champion" in row["aliases"]), None)
        if champion is None:
            st.warning(t("models.no_champion"))
        else:
            st.markdown(t("models.champion", version=champion["version"], kind=champion["kind"]))
        table([_row(row) for row in versions])
        others = [row["version"] for row in versions if row is not champion]
        if champion is not None and others:
            _compare(champion, versions, others)
        _roll_back()


def _row(row: dict[str, Any]) -> dict[str, Any]:
    t = words()
    return {
        "version": row["version"],
        "aliases": ", ".join(t.known(f"alias.{name}", name) for name in row["aliases"]),
        "kind": row["kind"],
        "gate": t.known(f"gate.{row['gate']}", row["gate"] or ""),
        **{name: row["metrics"].get(name) for name in SCORES},
        "n": row["metrics"].get("n"),
        "published_at": row["created_at"],
        "why": row["gate_reasons"],
        "simulated": row["simulated"],
    }


def _compare(champion: dict[str, Any], versions: list[dict[str, Any]], others: list[str]) -> None:
    t = words()
    st.header(t("models.side_by_side"))
    challenger = next((row["version"] for row in versions if "challenger" in row["aliases"]), others[-1])
    start = others.index(challenger) if challenger in others else 0
    chosen = st.selectbox(t("models.compared"), others, index=start)
    other = next(row for row in versions if row["version"] == chosen)
    cards = [read("admin", "models", row["version"]) for row in (champion, other)]
    for column, row, card in zip(st.columns(2, gap="large"), (champion, other), cards, strict=True):
        with column:
            names = ", ".join(t.known(f"alias.{name}", name) for name in row["aliases"])
            st.markdown(f"**{t('models.version', version=row['version'])}** {names}")
            st.caption(
                t(
                    "models.trained",
                    moment=card["trained_at"][:16].replace("T", " "),
                    data=card["data_version"][:8],
                    start=card["split"]["test_start"],
                )
            )
            table(scores(card)[:1])
            if card.get("holdout"):
                drawn(reliability(card["holdout"]["reliability"]), key=f"reliability {row['version']} {column}")
    if cards[0]["split"]["test_start"] != cards[1]["split"]["test_start"]:
        st.caption(t("models.other_days"))
    if other["gate"]:
        st.markdown(
            t(
                "models.verdict",
                version=chosen,
                gate=t.known(f"gate.{other['gate']}", other["gate"]),
                why=plain(other["gate_reasons"] or ""),
            )
        )
    _promote(champion["version"], chosen)


def _promote(champion: str, chosen: str) -> None:
    t = words()
    with st.form("promotion"):
        reason = st.text_input(t("models.why", version=chosen), max_chars=500, key=f"{TYPED}promote {chosen}")
        sure = st.checkbox(t("models.sure", version=chosen, champion=champion))
        if st.form_submit_button(t("models.promote")):
            if not (sure and reason.strip()):
                st.error(t("models.say_why"))
            else:
                with show_errors(), st.spinner(t("models.trying"), show_time=True):
                    body = {"reason": reason, "expected": champion}
                    moved = send("POST", "admin", "models", chosen, "promote", body=body)
                    st.success(t("models.promoted", version=moved["version"], previous=moved["previous"]))


def _roll_back() -> None:
    t = words()
    with st.form("rollback"):
        sure = st.checkbox(t("models.rollback_sure"))
        if st.form_submit_button(t("models.rollback")):
            if not sure:
                st.error(t("models.confirm_first"))
            else:
                with show_errors():
                    moved = send("POST", "admin", "models", "rollback")
                    st.success(t("models.rolled_back", version=moved["version"]))
