from api_model.codecs.rows import MOST_ERRORS, MOST_KEYS, parsed, refusal
from meteo.schemas.forecasts import BatchError


def test_of_a_row_with_many_errors_some_are_told() -> None:
    told = parsed({f"key {number}": 1 for number in range(MOST_KEYS)})
    assert isinstance(told, BatchError)
    assert len(told.errors) == MOST_ERRORS
    many = {f"key {number}": 1 for number in range(6000)}
    for row in (many, {"station": "Sydney", "date": "2020-02-10", "observation": many}):
        assert parsed(row) == refusal([("body", "more than 100 keys")])
