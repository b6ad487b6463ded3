import pytest
from pydantic import ValidationError

from meteo.schemas.ingestions import IngestionRequest


def test_a_range_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValidationError, match="must not be before start, 2024-02-01"):
        IngestionRequest.model_validate_json('{"start": "2024-02-01", "end": "2024-01-01"}')
