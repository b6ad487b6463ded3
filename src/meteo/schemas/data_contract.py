"""The data contract as it is sent and printed."""

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, Field

from meteo import data_contract
from meteo.observation import COMPASS, FIELDS


class FieldRule(BaseModel):
    """One column; a reading outside its limits costs its row, which waits in quarantine."""

    name: str
    label: str
    unit: str
    minimum: float | None = Field(description="Null for a direction")
    maximum: float | None
    values: tuple[str, ...] = Field(description="The only texts it may hold; empty for a number")
    bom: str = Field(description="Its header in BOM's month files, up to the unit")
    weather_aus: str = Field(description="Its header in weatherAUS.csv")


class AtMostRule(BaseModel):
    field: str
    limit: str
    tolerance: float = Field(description="It may be above the limit by so much")


class Rule(BaseModel):
    name: Literal["limits", "date", "repeated", "range", "step", "persistence", "consistency"]
    meaning: str


class DataContract(BaseModel):
    """What a file of daily observations is held to."""

    version: str
    missing: tuple[str, ...] = Field(description="Cells without a reading")
    fields: tuple[FieldRule, ...]
    refused: tuple[Rule, ...] = Field(description="Rows that go to quarantine")
    suspect: tuple[Rule, ...] = Field(description="Readings that are stored and flagged")
    persistence: tuple[str, ...] = Field(description="The fields that are looked at for persistence")
    consistency: tuple[AtMostRule, ...]


def contract() -> DataContract:
    """The contract of this version."""
    return DataContract(
        version=data_contract.VERSION,
        missing=data_contract.MISSING,
        fields=tuple(
            FieldRule(
                name=field.name,
                label=field.label,
                unit=field.unit,
                minimum=None if field.compass else field.low,
                maximum=None if field.compass else field.high,
                values=COMPASS if field.compass else (),
                bom=field.bom,
                weather_aus=field.history,
            )
            for field in FIELDS
        ),
        refused=(
            Rule(name="limits", meaning="a reading outside the field's limits, which no genuine one can pass"),
            Rule(name="date", meaning="a day that has not come yet on the station's own clock"),
            Rule(name="repeated", meaning="a station's day that stands more than once in the file, with other values"),
        ),
        suspect=(
            Rule(name="range", meaning="outside what is normal at the station in that month"),
            Rule(name="step", meaning="a greater change since the day before than is normal at the station"),
            Rule(
                name="persistence", meaning=f"the same reading on {data_contract.PERSISTENT_DAYS} days or more in a row"
            ),
            Rule(name="consistency", meaning="above another reading of the day that it cannot well exceed"),
        ),
        persistence=data_contract.VARYING,
        consistency=tuple(AtMostRule(**vars(rule)) for rule in data_contract.CONSISTENT),
    )


def markdown(said: DataContract) -> Iterator[str]:
    """The lines of docs/data-contract.md."""
    yield f"# What a file of observations must hold: version {said.version}"
    yield ""
    yield "Written by `python -m ingest contract`; admins read the same as JSON at `GET /admin/data-contract`."
    yield (
        "A file is one of BOM's month files or weatherAUS.csv, one row a day of a station. "
        "An empty cell, or `NA`, is no reading."
    )
    yield ""
    yield "| field | meaning | unit | from | to | BOM's header | weatherAUS |"
    yield "| --- | --- | --- | ---: | ---: | --- | --- |"
    for field in said.fields:
        low, high = (
            (field.values[0], field.values[-1]) if field.values else (f"{field.minimum:g}", f"{field.maximum:g}")
        )
        unit = field.unit or f"one of {len(field.values)} points"
        yield f"| `{field.name}` | {field.label} | {unit} | {low} | {high} | {field.bom} | {field.weather_aus} |"
    yield ""
    yield "A row is refused, and waits in quarantine for an admin's decision, for:"
    yield ""
    for rule in said.refused:
        yield f"- **{rule.name}**: {rule.meaning}"
    yield ""
    yield "A reading is stored and flagged as suspect for:"
    yield ""
    for rule in said.suspect:
        yield f"- **{rule.name}**: {rule.meaning}"
    yield ""
    yield f"Persistence is looked for in {', '.join(f'`{name}`' for name in said.persistence)}."
    yield ""
    for pair in said.consistency:
        more = f" by more than {pair.tolerance:g}" if pair.tolerance else ""
        yield f"- `{pair.field}` is suspect above `{pair.limit}`{more}"
