from contextlib import nullcontext
from typing import Any

import pytest

from meteo.schemas.data_contract import contract
from streamlit_app.language import language
from streamlit_app.views import ingestion


@pytest.mark.parametrize(("code", "rain", "points"), [
    ("en", "Rain in the 24 h to 9am", "N to NNW"), ("fr", "Pluie sur 24 h jusqu’à 9 h", "N à NNW"),
])  # fmt: skip
def test_what_a_file_must_hold_is_said_in_the_readers_words(
    monkeypatch: pytest.MonkeyPatch, code: str, rain: str, points: str
) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr(ingestion, "words", lambda: language(code))
    monkeypatch.setattr(ingestion, "read", lambda *_: contract().model_dump(mode="json"))
    monkeypatch.setattr(ingestion, "table", shown.extend)
    monkeypatch.setattr("streamlit.expander", lambda _: nullcontext())
    ingestion._contract()
    by_header = {row["header"]: row for row in shown}
    assert by_header["Rainfall"]["field"] == rain
    assert by_header["Rainfall"]["maximum"] == language(code).number(1200)
    assert (by_header["3pm wind direction"]["unit"], by_header["3pm wind direction"]["minimum"]) == (points, "")
