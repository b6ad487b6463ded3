from pydantic import BaseModel, ValidationError, field_validator

from meteo.schemas.problems import Problem, field_errors


class Inner(BaseModel):
    count: int


class Outer(BaseModel):
    parts: list[Inner]
    name: str

    @field_validator("name")
    @classmethod
    def _short(cls, name: str) -> str:
        if len(name) > 3:
            raise ValueError("at most three letters")
        return name


def test_errors_name_their_fields_and_not_what_was_given() -> None:
    try:
        Outer.model_validate({"parts": [{"count": 1}, {"count": "secret"}], "name": "much too long"})
    except ValidationError as error:
        found = dict(field_errors(list(error.errors())))
    assert found["name"] == "at most three letters"
    assert set(found) == {"parts.1.count", "name"}
    assert "secret" not in str(found)


def test_an_error_of_the_whole_is_of_the_body() -> None:
    assert field_errors([{"loc": (), "msg": "Value error, nothing fits"}]) == [("body", "nothing fits")]


def test_a_problem_is_of_rfc_9457() -> None:
    told = Problem(title="Not found", status=404, detail="no such", instance="/x", request_id="r").model_dump()
    assert told["type"] == "about:blank"
    assert {"title", "status", "detail", "instance"} <= set(told)
