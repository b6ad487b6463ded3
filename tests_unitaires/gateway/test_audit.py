import asyncio
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from gateway.audit import Audit
from gateway.tables import SCHEMA
from meteo.errors import Conflict
from meteo.runtime.database import connect

REQUEST = Request({"type": "http", "headers": [], "client": ("192.0.2.7", 1), "method": "POST", "path": "/"})
REQUEST.state.request_id = "request-0001"


@pytest.fixture
def audit(database: str) -> Any:
    engine = connect(database)
    SCHEMA.upgrade(engine)
    yield Audit(engine)
    engine.dispose()


def last(audit: Audit) -> tuple[str, str, str, dict[str, Any], str]:
    (entry,) = audit.latest(1)
    return entry["actor"], entry["action"], entry["outcome"], entry["detail"], entry["address"]


def test_what_goes_well_is_recorded_with_what_became_known_meanwhile(audit: Audit) -> None:
    async def work() -> None:
        async with audit.recording(REQUEST, "root", "promote model", version="4") as event:
            event.detail["before"] = "3"

    asyncio.run(work())
    assert last(audit) == ("root", "promote model", "success", {"version": "4", "before": "3"}, "192.0.2.7")


@pytest.mark.parametrize(("status", "outcome"), [(201, "success"), (409, "answered 409")])
def test_an_answer_from_behind_is_the_outcome(audit: Audit, status: int, outcome: str) -> None:
    async def work() -> None:
        async with audit.recording(REQUEST, "root", "hand in file") as event:
            event.answered(Response(status_code=status))

    asyncio.run(work())
    assert last(audit)[2] == outcome


@pytest.mark.parametrize(
    ("error", "outcome"), [(Conflict("one runs already"), "Conflict"), (ValueError("x"), "failure")]
)
def test_an_error_is_recorded_and_goes_on(audit: Audit, error: Exception, outcome: str) -> None:
    async def work() -> None:
        async with audit.recording(REQUEST, "root", "start training", conf={}):
            raise error

    with pytest.raises(type(error)):
        asyncio.run(work())
    assert last(audit)[:4] == ("root", "start training", outcome, {"conf": {}})


def test_work_that_is_given_up_is_recorded(audit: Audit) -> None:
    async def work() -> None:
        async with asyncio.timeout(0.05), audit.recording(REQUEST, "root", "promote model"):
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        asyncio.run(work())
    assert last(audit)[2] == "failure"


def test_entries_are_found_by_who_and_by_what_newest_first(audit: Audit) -> None:
    async def work() -> None:
        for actor, action in (("ann", "login"), ("root", "login"), ("ann", "logout")):
            await audit.record(REQUEST, actor, action)

    asyncio.run(work())
    assert [entry["action"] for entry in audit.latest(9, actor="ann")] == ["logout", "login"]
    assert [entry["actor"] for entry in audit.latest(9, action="login")] == ["root", "ann"]
    assert len(audit.latest(2)) == 2
