import socket
import struct
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from ingest.bom_source import BomSource
from ingest.sources import Done, Found, Known, Missing, NotModified, RawFile
from meteo.errors import Unavailable
from meteo.station import station

SYDNEY, PERTH = station("Sydney"), station("Perth")


Reply = Callable[..., bytes]


def source(bom: Any, pauses: list[float] | None = None, **settings: Any) -> BomSource:
    given: dict[str, Any] = {"user_agent": "tests", "backoff_seconds": 0.0, "pause_seconds": 2.5, **settings}

    async def pause(seconds: float) -> None:
        if pauses is not None:
            pauses.append(seconds)

    return BomSource(bom.address, [SYDNEY, PERTH], [date(2024, 1, 1), date(2024, 2, 1)], pause=pause, **given)


def read(given: BomSource, done: frozenset[str] = frozenset(), known: Known | None = None) -> list[Found]:
    return list(given.files(done, lambda _: known))


def test_month_files_are_asked_for_one_by_one_politely(bom: Any, reply: Reply) -> None:
    bom.answers = [reply(200, b"data", ETag='"a"', Last_Modified="Mon, 1 Jan 2024 00:00:00 GMT")]
    pauses: list[float] = []
    files = read(source(bom, pauses, user_agent="a browser"))
    assert bom.paths() == [
        f"/climate/dwo/{month}/text/{place.bom_product}.{month}.csv"
        for month in ("202401", "202402") for place in (SYDNEY, PERTH)
    ]  # fmt: skip
    assert (bom.connections, pauses) == (1, [2.5, 2.5, 2.5])
    assert all("user-agent: a browser" in request.lower() for request in bom.asked)
    first = files[0]
    assert isinstance(first, RawFile)
    assert (first.name, first.product, first.open().read()) == ("IDCJDW2124.202401.csv", "IDCJDW2124", b"data")
    assert (first.etag, first.last_modified) == ('"a"', "Mon, 1 Jan 2024 00:00:00 GMT")


def test_one_file_is_fetched_while_the_one_before_is_worked_on(
    bom: Any, reply: Reply, eventually: Callable[..., None]
) -> None:
    bom.answers = [reply(200, b"data")]
    files = source(bom).files(frozenset(), lambda _: None)
    next(files)
    eventually(lambda: len(bom.asked) == 2)
    time.sleep(0.2)
    assert len(bom.asked) == 2, "no more than one"
    files.close()


def test_who_asks_for_no_more_need_not_wait_for_the_next(bom: Any, reply: Reply) -> None:
    bom.answers = [reply(200, b"data")]
    slow = BomSource(bom.address, [SYDNEY, PERTH], [date(2024, 1, 1)], user_agent="tests", pause_seconds=60)
    files = slow.files(frozenset(), lambda _: None)
    next(files)
    began = time.monotonic()
    files.close()
    assert time.monotonic() - began < 10
    assert len(bom.asked) == 1


def test_what_is_known_is_asked_for_only_if_it_changed(bom: Any, reply: Reply) -> None:
    bom.answers = [reply(304)]
    files = read(source(bom), known=Known('"a"', "Mon, 1 Jan 2024 00:00:00 GMT"))
    assert [type(found) for found in files] == [NotModified] * 4
    assert all('if-none-match: "a"' in request.lower() for request in bom.asked)
    assert all("if-modified-since: mon, 1 jan 2024" in request.lower() for request in bom.asked)


def test_what_is_done_is_not_asked_for(bom: Any, reply: Reply) -> None:
    bom.answers = [reply(200, b"data")]
    files = read(source(bom), done=frozenset({"IDCJDW2124.202401.csv", "IDCJDW2124.202402.csv"}))
    assert [type(found) for found in files] == [Done, RawFile, Done, RawFile]
    assert len(bom.asked) == 2


@pytest.mark.parametrize("status", [404, 410])
def test_a_file_that_is_not_there_is_missing_and_the_others_go_on(bom: Any, reply: Reply, status: int) -> None:
    bom.answers = [reply(status), reply(200, b"data")]
    files = read(source(bom))
    assert isinstance(files[0], Missing)
    assert f"({status})" in files[0].reason
    assert [type(found) for found in files[1:]] == [RawFile] * 3


def test_a_refusal_is_explained_with_what_to_do_instead(bom: Any, reply: Reply) -> None:
    bom.answers = [reply(403, b"<html>no</html>")]
    with pytest.raises(Unavailable, match=r"403.*download the month files in a browser.*--source file"):
        read(source(bom))
    assert len(bom.asked) == 1


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def cut(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n,2024-01-1,")


def drip_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        connection.sendall(b",")
        time.sleep(0.05)


def drip_head(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    for _ in range(1000):
        connection.sendall(b"x")
        time.sleep(0.05)


@pytest.mark.parametrize("trouble", [reset, cut, drip_body, drip_head, 429, 500, 503])
def test_trouble_that_passes_is_waited_out(bom: Any, reply: Reply, trouble: Any) -> None:
    bad = reply(trouble) if isinstance(trouble, int) else trouble
    bom.answers = [bad, bad, reply(200, b"data")]
    files = read(source(bom, timeout_seconds=0.4))
    assert [type(found) for found in files] == [RawFile] * 4
    assert len(bom.asked) == 6


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        (reset, "could not be reached for IDCJDW2124.202401.csv"),
        (cut, "could not be reached for IDCJDW2124.202401.csv"),
        (drip_body, r"did not send IDCJDW2124\.202401\.csv within 0\.3 s"),
        (drip_head, r"did not send IDCJDW2124\.202401\.csv within 0\.3 s"),
        (500, "answered 500 for IDCJDW2124.202401.csv"),
    ],
)
def test_trouble_that_stays_is_said_after_some_attempts(bom: Any, reply: Reply, trouble: Any, sentence: str) -> None:
    bom.answers = [reply(trouble) if isinstance(trouble, int) else trouble]
    began = time.monotonic()
    with pytest.raises(Unavailable, match=sentence):
        read(source(bom, attempts=3, timeout_seconds=0.3))
    assert len(bom.asked) == 3
    assert time.monotonic() - began < 10


@pytest.mark.slow
def test_each_fault_between_ingestion_and_source_costs_its_attempts(
    bom: Any, reply: Reply, fault_proxy: Callable[[str], Any], each_fault: Callable[..., None],
    outcome: Callable[..., set[int]],
) -> None:  # fmt: skip
    bom.answers = [reply(200, b"data")]
    proxy = fault_proxy(bom.address)

    def ask() -> set[int]:
        options: dict[str, Any] = {"user_agent": "tests", "timeout_seconds": 1, "attempts": 2, "backoff_seconds": 0}
        return outcome(lambda: read(BomSource(proxy.address, [SYDNEY], [date(2024, 1, 1)], **options)))

    each_fault("ingestion → source", proxy, ask, most_seconds=4)


def test_an_answer_that_says_nothing_known_is_not_repeated(bom: Any, reply: Reply) -> None:
    bom.answers = [reply(302, Location="http://elsewhere/")]
    with pytest.raises(Unavailable, match="answered 302"):
        read(source(bom))
    assert len(bom.asked) == 1


def test_a_file_of_no_sane_size_is_refused(bom: Any, reply: Reply) -> None:
    bom.answers = [reply(200, b"x" * 10_000_000)]
    with pytest.raises(Unavailable, match="larger than 5,000,000 bytes"):
        read(source(bom))
