"""A run whose lock was lost with its database session stores nothing more. Real PostgreSQL, real sessions ended."""

import io
from collections.abc import Callable, Container, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import IO

import pytest

from ingest.job import Ingestion, Request
from ingest.landing import Landing
from ingest.sources import Found, Known, RawFile
from meteo.archive.store import ObservationStore
from meteo.errors import Conflict
from meteo.observation import FIELDS
from meteo.runtime.database import connect, only_one

HEADER = ",".join(["Date", "Location", *(field.history for field in FIELDS)])
LOST = "this ingestion lost its lock"


def month(name: str, day: str) -> RawFile:
    rain = ",".join("1.2" if field.name == "rainfall" else "NA" for field in FIELDS)
    content = f"{HEADER}\n{day},Sydney,{rain}\n{day},Perth,{rain}".encode()
    return RawFile(name, lambda: io.BytesIO(content))


FIRST, SECOND = month("a.csv", "2024-01-01"), month("b.csv", "2024-01-02")


class Given:
    """Yields files and does what lies between them."""

    total = 2

    def __init__(self, *steps: Found | Callable[[], object]) -> None:
        self._steps = steps

    def files(self, done: Container[str], known: Callable[[str], Known | None]) -> Generator[Found]:
        for step in self._steps:
            if callable(step):
                step()
            else:
                yield step


class Interrupted(Landing):
    """Something happens when a file is first read, in the middle of the transaction that stores it."""

    def __init__(self, folder: Path, happens: Callable[[], object]) -> None:
        super().__init__(folder)
        self._happening = [happens]

    def open(self, digest: str) -> IO[bytes]:
        while self._happening:
            self._happening.pop()()
        return super().open(digest)


@pytest.fixture
def address(postgres: Callable[[], str]) -> str:
    return postgres()


@pytest.fixture
def store(address: str) -> Iterator[ObservationStore]:
    store = ObservationStore(connect(address))
    store.create()
    yield store
    store.engine.dispose()


@pytest.fixture
def end_session(address: str, end_turn: Callable[[str], None]) -> Callable[[], None]:
    return partial(end_turn, address)


@pytest.fixture
def ingest(store: ObservationStore, tmp_path: Path) -> Callable[..., dict[str, object]]:
    def run(*steps: Found | Callable[[], object], landing: Landing | None = None) -> dict[str, object]:
        kept = landing or Landing(tmp_path / "landing")
        return Ingestion(store, kept, Given(*steps), Request("file")).run(lambda _: None)

    return run


def test_a_run_that_lost_its_lock_stores_nothing_more_and_the_next_one_goes_on(
    ingest: Callable[..., dict[str, object]], store: ObservationStore, end_session: Callable[[], None]
) -> None:
    with pytest.raises(Conflict, match=LOST):
        ingest(FIRST, end_session, SECOND)
    assert len(store.window()) == 2
    summary = ingest(FIRST, SECOND)
    assert (summary["new"], summary["resumes"], len(store.window())) == (4, 1, 4)
    assert [record["state"] for record in store.ingestions.latest(5)] == ["success"]


def test_a_lock_lost_within_a_transaction_leaves_nothing_of_it(
    ingest: Callable[..., dict[str, object]], store: ObservationStore, end_session: Callable[[], None], tmp_path: Path
) -> None:
    with pytest.raises(Conflict, match=LOST):
        ingest(FIRST, landing=Interrupted(tmp_path / "landing", end_session))
    assert len(store.window()) == 0
    assert ingest(FIRST)["new"] == 2


def test_a_run_that_was_overtaken_harms_nothing_of_the_one_that_overtook_it(
    ingest: Callable[..., dict[str, object]], store: ObservationStore, end_session: Callable[[], None]
) -> None:
    overtaking: list[dict[str, object]] = []
    with pytest.raises(Conflict, match=LOST):
        ingest(FIRST, end_session, lambda: overtaking.append(ingest(FIRST, SECOND)), SECOND)
    assert len(store.window()) == 4
    assert [(record["state"], record["new"]) for record in store.ingestions.latest(5)] == [("success", 4)]
    assert len(overtaking) == 1


def test_nobody_enters_while_one_that_lost_its_lock_may_still_commit(
    store: ObservationStore, end_session: Callable[[], None]
) -> None:
    with only_one(store.engine, "ingestion") as turn, turn.kept():
        end_session()
        with pytest.raises(Conflict, match="another ingestion"), only_one(store.engine, "ingestion"):
            pass
    with only_one(store.engine, "ingestion"):
        pass
