from pathlib import Path

from meteo.data_contract import CONSISTENT, SATURATED, VARYING
from meteo.observation import FIELDS, NAMES
from meteo.schemas.data_contract import contract, markdown

REPOSITORY = Path(__file__).resolve().parents[3]


def test_the_page_says_what_ingestion_checks_by() -> None:
    page = (REPOSITORY / "docs/data-contract.md").read_text(encoding="utf-8")
    assert page.splitlines() == list(markdown(contract())), "python -m ingest contract > docs/data-contract.md"


def test_every_field_is_in_it_with_its_limits_or_its_words() -> None:
    said = {field.name: field for field in contract().fields}
    assert list(said) == list(NAMES)
    for field in FIELDS:
        told = said[field.name]
        assert (told.unit, told.bom, told.weather_aus) == (field.unit, field.bom, field.history)
        if field.compass:
            assert (len(told.values), told.minimum) == (16, None)
        else:
            assert (told.minimum, told.maximum, told.values) == (field.low, field.high, ())


def test_its_rules_are_of_fields_that_there_are() -> None:
    named = {*VARYING, *SATURATED, *(rule.field for rule in CONSISTENT), *(rule.limit for rule in CONSISTENT)}
    assert named <= set(NAMES)
