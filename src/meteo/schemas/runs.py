"""What a run of a pipeline may be asked to do."""

from typing import Any

from pydantic import (
    ConfigDict,
    Field,
    JsonValue,
)

from meteo.schemas.base import Body
from meteo.training_parameters import PARAMETERS, ModelKind


def _with_parameters(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [
        {
            "properties": {
                "model": {"enum": [kind, None]},
                "params": {
                    "type": ["object", "null"],
                    "additionalProperties": False,
                    "properties": {
                        name: {"type": "integer" if one.whole else "number", "minimum": one.low, "maximum": one.high}
                        for name, one in known.items()
                    },
                },
            }
        }
        for kind, known in PARAMETERS.items()
    ]


class TrainingRequest(Body):
    """What to train; by default the configured kind and parameters. Which a kind takes, `training_parameters` knows."""

    model_config = ConfigDict(json_schema_extra=_with_parameters)

    model: ModelKind | None = None
    params: dict[str, JsonValue] | None = Field(None, max_length=20)
    search: int | None = Field(
        None, ge=1, le=100, description="Try so many sets of parameters on the validation period and take the best"
    )


class MonitoringRequest(Body):
    """Nothing is asked of monitoring but to run."""
