"""For admins: the champion and those who would replace it."""

from typing import Any

import streamlit as st

from streamlit_app.views.common import admin_only, read, send, told

_FIGURES = ("roc_auc", "brier", "log_loss", "ece", "n")


def show() -> None:
    admin_only()
    st.title("Models")
    with told():
        versions = read("admin", "models")
        if not versions:
            st.info("No model has been published yet: launch a training.")
            return
        champion = next((row for row in versions if "champion" in row["aliases"]), None)
        _say_who_serves(champion)
        st.dataframe([_row(row) for row in versions], hide_index=True)
        others = [row["version"] for row in versions if row is not champion]
        if champion is not None and others:
            _compare(champion, versions, others)


def _say_who_serves(champion: dict[str, Any] | None) -> None:
    if champion is None:
        st.warning("No version is the champion: nothing is served.")
    else:
        st.markdown(f"Version **{champion['version']}** ({champion['kind']}) is the champion and serves.")


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": row["version"], "serves as": ", ".join(row["aliases"]), "kind": row["kind"],
        "gate": row["gate"], "why": row["gate_reasons"], "published": row["created_at"],
        **{name: row["metrics"].get(name) for name in _FIGURES}, "demo data": row["simulated"],
    }  # fmt: skip


def _compare(champion: dict[str, Any], versions: list[dict[str, Any]], others: list[str]) -> None:
    st.subheader("Side by side")
    chosen = st.selectbox("Version to compare", others)
    other = next(row for row in versions if row["version"] == chosen)
    cards = [read("admin", "models", row["version"]) for row in (champion, other)]
    for column, row, card in zip(st.columns(2, gap="large"), (champion, other), cards, strict=True):
        with column:
            st.markdown(f"**Version {row['version']}** {' '.join(row['aliases'])}")
            st.caption(f"trained {card['trained_at'][:16]} on data {card['data_version'][:8]}; held out from "
                       f"{card['split']['test_start']}")  # fmt: skip
            st.dataframe([{"figure": name, "value": card["metrics"].get(name)} for name in _FIGURES], hide_index=True)
    if cards[0]["data_version"] != cards[1]["data_version"]:
        st.caption("They were scored on different data versions; the gate compared them on the same held-out days.")
    with st.form("promotion"):
        reason = st.text_input("Why version " + chosen + " should serve", max_chars=500)
        sure = st.checkbox(f"Put version {chosen} in the place of version {champion['version']}")
        if st.form_submit_button("Promote"):
            if not (sure and reason.strip()):
                st.error("Say why, and confirm.")
            else:
                with told(), st.spinner("trying the version"):
                    body = {"reason": reason, "expected": champion["version"]}
                    moved = send("POST", "admin", "models", chosen, "promote", body=body)
                    st.success(f"Version {moved['version']} serves; version {moved['previous']} can be brought back.")
    with st.form("rollback"):
        sure = st.checkbox("Bring the previous champion back")
        if st.form_submit_button("Roll back"):
            if not sure:
                st.error("Confirm first.")
            else:
                with told():
                    moved = send("POST", "admin", "models", "rollback")
                    st.success(f"Version {moved['version']} serves again.")
