import json
from datetime import date
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from meteo.errors import InvalidInput
from meteo.observation import FIELDS, NAMES
from meteo.schemas.forecasts import PredictRequest, check_day, missing_fields, observations_of
from meteo.schemas.problems import field_errors


def parse(observation: dict[str, Any] | str, **more: Any) -> PredictRequest:
    body = json.dumps({"station": "Sydney", "date": "2024-01-01", "observation": "@", **more})
    text = observation if isinstance(observation, str) else json.dumps(observation)
    return PredictRequest.model_validate_json(body.replace('"@"', text))


def refused_fields(observation: dict[str, Any] | str, **more: Any) -> list[str]:
    with pytest.raises(ValidationError) as refusal:
        parse(observation, **more)
    return [field for field, _ in field_errors(list(refusal.value.errors()))]


def test_a_few_fields_are_enough_and_whole_numbers_are_numbers() -> None:
    row, rained = observations_of([parse({"humidity_3pm": 80, "wind_dir_9am": "NW"})])
    assert row.column("humidity_3pm")[0] == 80
    assert row.column("wind_dir_9am")[0] == 14
    assert np.isnan(rained).tolist() == [True]
    assert missing_fields(row.values[0]) == [name for name in NAMES if name not in ("humidity_3pm", "wind_dir_9am")]


def test_rain_today_without_an_amount_is_passed_on() -> None:
    _, rained = observations_of([parse({"rain_today": True})])
    assert rained.tolist() == [1.0]
    _, rained = observations_of([parse({"rainfall": 1.0}), parse({"rainfall": 1.2}), parse({"rain_today": False})])
    assert rained.tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("field", [field for field in FIELDS if not field.compass], ids=lambda field: field.name)
def test_each_quantity_is_held_to_the_limits_of_the_schema(field: Any) -> None:
    for inside in (field.low, field.high):
        assert getattr(parse({field.name: inside}).observation, field.name) == inside
    for outside in (field.low - 0.1, field.high + 0.1):
        assert refused_fields({field.name: outside}) == [f"observation.{field.name}"]


@pytest.mark.parametrize(
    ("observation", "field"),
    [
        ({}, "observation"),
        ({"min_temp": None}, "observation"),
        ({"min_temp": "3"}, "observation.min_temp"),
        ({"min_temp": True}, "observation.min_temp"),
        ('{"min_temp": NaN}', "observation.min_temp"),
        ('{"min_temp": -Infinity}', "observation.min_temp"),
        ('{"min_temp": 1e400}', "observation.min_temp"),
        ({"wind_dir_9am": "NORTH"}, "observation.wind_dir_9am"),
        ({"wind_dir_9am": 3}, "observation.wind_dir_9am"),
        ({"rain_today": 1}, "observation.rain_today"),
        ({"temperature": 3}, "observation.temperature"),
        ({"min_temp": 9, "max_temp": 3}, "observation.max_temp"),
        ({"rainfall": 1.0, "rain_today": True}, "observation.rain_today"),
        ({"rainfall": 1.2, "rain_today": False}, "observation.rain_today"),
    ],
)
def test_what_cannot_be_right_is_refused_by_the_name_of_its_field(observation: Any, field: str) -> None:
    assert refused_fields(observation) == [field]


@pytest.mark.parametrize("text", ['{"min_temp": "\\ud800"}', '{"min_temp": ' + "9" * 5000 + "}", "[" * 100_000, ""])
def test_hostile_json_is_refused(text: str) -> None:
    assert refused_fields(text)


def test_rain_of_exactly_one_millimetre_agrees_with_no_rain_today() -> None:
    assert parse({"rainfall": 1.0, "rain_today": False}).observation.model_dump()["rainfall"] == 1.0


def test_unknown_members_of_the_request_are_refused() -> None:
    assert refused_fields({"min_temp": 3}, explained=True) == ["explained"]
    assert refused_fields({"min_temp": 3}, model="../1") == ["model"]


def test_an_error_never_repeats_the_input() -> None:
    with pytest.raises(ValidationError) as refusal:
        parse({"min_temp": "canary"})
    assert "canary" not in str(field_errors(list(refusal.value.errors())))


def test_a_day_to_come_is_refused_and_today_is_not() -> None:
    check_day(date(2024, 1, 2), date(2024, 1, 2))
    with pytest.raises(InvalidInput, match="has not come yet") as refusal:
        check_day(date(2024, 1, 3), date(2024, 1, 2))
    assert refusal.value.fields[0][0] == "date"
