import errno
import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import structlog

from meteo import job
from meteo.errors import Conflict


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """A job's log goes to this test's captured stderr, which is closed when it ends."""
    yield
    structlog.reset_defaults()
    logging.basicConfig(force=True)


def fail(error: Exception, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    def work() -> Mapping[str, Any]:
        raise error

    with pytest.raises(SystemExit) as ended:
        job.run("ingest", "info", work)
    assert ended.value.code == 1
    printed = capsys.readouterr()
    summary: dict[str, Any] = json.loads(printed.out.splitlines()[-1])
    assert (summary["job"], summary["state"]) == ("ingest", "failed")
    assert summary["error"] in printed.err
    return summary


def test_what_was_done_is_the_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    job.run("ingest", "info", lambda: {"rows": 3})
    assert json.loads(capsys.readouterr().out) == {"job": "ingest", "state": "success", "rows": 3}


def test_an_error_of_ours_is_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(Conflict("another ingestion is at work"), capsys)["error"] == "another ingestion is at work"


def test_a_full_disk_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert "the disk is full" in fail(OSError(errno.ENOSPC, "No space left on device"), capsys)["error"]


def test_a_defect_still_ends_with_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(KeyError("x"), capsys)["error"] == "KeyError: 'x'"
