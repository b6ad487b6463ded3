import json

import pytest

from meteo import job
from meteo.errors import NotEnoughData


def test_the_last_line_of_stdout_is_one_json_summary(capsys: pytest.CaptureFixture[str]) -> None:
    job.run("ingest", "info", lambda: {"new": 3})
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"job": "ingest", "state": "success", "new": 3}


def test_an_error_of_ours_is_said_and_exits_with_one(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> dict[str, int]:
        raise NotEnoughData("nothing to learn from")

    with pytest.raises(SystemExit, match="1"):
        job.run("train", "info", work)
    output = capsys.readouterr()
    assert output.err == "train: nothing to learn from\n"
    assert json.loads(output.out) == {"job": "train", "state": "failed", "error": "nothing to learn from"}
