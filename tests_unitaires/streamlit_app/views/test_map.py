import pytest

from streamlit_app.language import language
from streamlit_app.views import map as map_page


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_page, "words", lambda: language("en"))
    monkeypatch.setattr(map_page, "ink", lambda: "#000000")


SYDNEY = {"station": "Sydney", "chance": 0.9, "verdict": "rain", "latitude": -33.86, "longitude": 151.2}
PARRAMATTA = {**SYDNEY, "station": "Parramatta", "chance": 0.8, "latitude": -33.81, "longitude": 151.0}
PERTH = {"station": "Perth", "verdict": "nothing heard", "latitude": -31.93, "longitude": 115.98}


def test_the_map_has_a_ring_for_each_silent_station_and_no_layer_of_nothing() -> None:
    """An empty layer is a picture without a name to a screen reader."""

    def drawn(silent: list[dict[str, object]]) -> list[object]:
        map_ = map_page._map([SYDNEY], silent).to_dict()
        return [map_["datasets"][layer["data"]["name"]] for layer in map_["layer"][1:]]

    assert drawn([PERTH]) == [[PERTH], [SYDNEY], [SYDNEY]]
    assert drawn([]) == [[SYDNEY], [SYDNEY]]


def test_names_that_would_cover_each_other_are_left_out_and_the_wettest_stays() -> None:
    assert map_page._labelled([SYDNEY, PARRAMATTA, {**PERTH, "chance": 0.1}]) == ["Sydney", "Perth"]
