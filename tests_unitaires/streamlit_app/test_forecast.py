from datetime import UTC, datetime

import pytest

from meteo.features import NAMES
from streamlit_app.views.forecast import _instant, _label, _words


@pytest.mark.parametrize("feature", NAMES)
def test_every_feature_has_a_name_for_people(feature: str) -> None:
    label = _label(feature, 5.0)
    assert "_" not in label
    assert label[0].isupper()


def test_an_unknown_value_is_said_to_be() -> None:
    assert _label("humidity_3pm", None) == "Relative humidity at 3pm: not known"
    assert _label("humidity_3pm", 80.0) == "Relative humidity at 3pm: 80 %"


@pytest.mark.parametrize(
    ("probability", "words"), [(0.01, "fewer than 1 in 20"), (0.7, "about 7 in 10"), (0.99, "more than 19 in 20")]
)
def test_a_probability_is_said_in_words(probability: float, words: str) -> None:
    assert words in _words(probability)


def test_an_instant_is_said_as_people_do() -> None:
    assert _instant(datetime(2026, 11, 21, 9, tzinfo=UTC)) == "9am Saturday 21 November 2026"


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        ("humidity_3pm_near_100_km", "Relative humidity at 3pm, near by"),
        ("rainfall_west_400_km_yesterday", "Rain in the 24 h to 9am, to the west yesterday"),
        ("dew_point_3pm_north_1000_km", "Dew point at 3pm, to the north"),
        ("temp_3pm_anomaly", "Temperature at 3pm, against the normal here"),
        ("pressure_3pm_at_Perth", "Weather map: pressure across Australia"),
        ("pressure_3pm_west_400_km_less_own", "Weather map: pressure differences around here"),
    ],
)
def test_the_surroundings_are_said_as_people_do(feature: str, words: str) -> None:
    assert _label(feature, 1.0) == words
