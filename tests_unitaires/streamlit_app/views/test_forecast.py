import pytest

from meteo.schemas.observations import StationBody
from meteo.station import station
from streamlit_app.views.forecast import kilometres


def test_distances_are_those_of_the_globe() -> None:
    sydney = station("Sydney")
    body = StationBody(name="Sydney", state="NSW", latitude=sydney.latitude, longitude=sydney.longitude, elevation_m=1,
                       timezone="Australia/Sydney", latest=None)  # fmt: skip
    perth = station("Perth")
    assert kilometres(body, perth.latitude, perth.longitude) == pytest.approx(3290, abs=10)
    assert kilometres(body, sydney.latitude, sydney.longitude) == 0
