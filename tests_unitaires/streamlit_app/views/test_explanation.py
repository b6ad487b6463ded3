import pytest

from meteo.features.matrix import FEATURE_NAMES
from streamlit_app.language import language
from streamlit_app.views import explanation
from streamlit_app.views.explanation import feature_words, in_words


@pytest.fixture(params=["en", "fr"])
def spoken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(explanation, "words", lambda: language(request.param))
    return str(request.param)


@pytest.mark.usefixtures("spoken")
@pytest.mark.parametrize("feature", FEATURE_NAMES)
def test_every_feature_has_a_name_for_people(feature: str) -> None:
    label = feature_words(feature, 5.0)
    assert "_" not in label
    assert label[0].isupper()


def test_an_unknown_value_is_said_to_be() -> None:
    assert feature_words("humidity_3pm", None) == "Relative humidity at 3pm: unknown"
    assert feature_words("humidity_3pm", 80.0) == "Relative humidity at 3pm: 80 %"
    assert feature_words("humidity_3pm", 80.0, named_only=True) == "Relative humidity at 3pm"


@pytest.mark.parametrize(
    ("probability", "words"), [(0.01, "fewer than 1 in 20"), (0.7, "about 7 in 10"), (0.99, "more than 19 in 20")]
)
def test_a_probability_is_said_in_words(probability: float, words: str) -> None:
    assert words in in_words(probability)


def test_a_probability_is_said_in_french(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explanation, "words", lambda: language("fr"))
    assert in_words(0.7) == "Pluie environ 7 jours comparables sur 10"
    assert feature_words("temp_3pm", 23.4) == "Température à 15 h : 23,4 °C"


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        ("humidity_3pm_near_100_km", "Relative humidity at 3pm, nearby"),
        ("rainfall_west_400_km_yesterday", "Rain in the 24 h to 9am, to the west yesterday"),
        ("dew_point_3pm_north_1000_km", "Dew point at 3pm, to the north"),
        ("temp_3pm_anomaly", "Temperature at 3pm, compared with normal here"),
        ("pressure_3pm_at_Perth", "Pressure across Australia"),
        ("pressure_3pm_west_400_km_less_own", "Pressure differences around this place"),
    ],
)
def test_the_surroundings_are_said_as_people_do(feature: str, words: str) -> None:
    assert feature_words(feature, 1.0) == words
