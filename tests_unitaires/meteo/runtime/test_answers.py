import pytest

from meteo.errors import UpstreamFailed
from meteo.runtime.answers import Needed, checked, parsed


class Run(Needed):
    class Task(Needed):
        number: int

    state: str
    tasks: tuple[Task, ...]


def test_what_is_needed_is_read_and_the_rest_left() -> None:
    run = parsed("Airflow", b'{"state": "failed", "tasks": [{"number": 2}], "more": {}}', Run)
    assert (run.state, run.tasks[0].number) == ("failed", 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>", "Airflow answered with no JSON"),
        (b'{"state": "x", "tasks": [{"number": NaN}]}', "Airflow answered with no JSON"),
        (b'{"state": "x", "tasks": [{"number": "2"}]}', "'tasks.0.number' is not right"),
        (b'{"tasks": []}', "'state' is not right"),
        (b"null", "'the whole' is not right"),
    ],
)
def test_nonsense_names_the_service_and_the_place(content: bytes, message: str) -> None:
    with pytest.raises(UpstreamFailed) as raised:
        parsed("Airflow", content, Run)
    assert message in raised.value.detail


def test_what_was_said_is_never_repeated() -> None:
    with pytest.raises(UpstreamFailed) as raised:
        checked("MLflow", {"state": ["a secret"], "tasks": ()}, Run)
    assert "secret" not in raised.value.detail
    assert "MLflow" in raised.value.detail
