"""Bodies made to hurt: what the gateway and the model API behind it make of them, as processes of their own."""

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from meteo.runtime.service_tokens import Caller, ServiceTokens

ROW = {"station": "Sydney", "date": "2020-02-10", "observation": {"humidity_3pm": 80}}
ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
def doors(house: Any) -> Iterator[dict[str, httpx.Client]]:
    """The gateway, logged in as a user, and the model API, asked as the gateway asks it."""

    def authorized(request: httpx.Request) -> httpx.Request:
        token = ServiceTokens("s" * 40).issue(Caller("ann", "user", "gateway"))
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    address = f"http://127.0.0.1:{house.ports['api_model']}"
    inner = httpx.Client(base_url=address, auth=authorized, trust_env=False, timeout=60)
    with house.client("ann") as outer, inner:
        yield {"gateway": outer, "api_model": inner}


def stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def out_of_range() -> bytes:
    """A stream whose station begins two gigabytes behind its text."""
    sound = stream(pa.table({"station": ["Sydney"], "date": ["2020-02-10"], "humidity_3pm": [80.0]}))
    within, beyond = struct.pack("<2i", 0, 6), struct.pack("<2i", 2**31 - 9, 2**31 - 3)
    return sound.replace(within, beyond)


def claiming(rows: int) -> bytes:
    """A few hundred bytes that say to be so many rows of nothing."""
    return stream(pa.table({name: pa.nulls(rows) for name in ("station", "date", "humidity_3pm")}))


ATTACKS: dict[str, Callable[[], bytes]] = {
    "offsets": out_of_range,
    "rows": lambda: claiming(20_000_000),
    "sound": lambda: stream(pa.table({"station": ["Sydney"], "date": ["2020-02-10"], "humidity_3pm": [80.0]})),
}


@pytest.mark.parametrize("door", ["gateway", "api_model"])
@pytest.mark.parametrize("kind", [ARROW, "text/csv", "application/json", ""])
@pytest.mark.parametrize("attack", ATTACKS)
def test_no_arrow_is_read_whatever_it_says_to_be(
    house: Any, doors: dict[str, httpx.Client], door: str, kind: str, attack: str
) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = doors[door].post("/predict/batch", content=ATTACKS[attack](), headers=headers)
    assert answer.status_code in ((415,) if kind == ARROW else (415, 422))
    assert answer.headers["content-type"] == "application/problem+json"
    assert house.ready("api_model"), "it lives"
    assert doors[door].post("/predict/batch", json=[ROW]).json()[0]["station"] == "Sydney"


MB = 1_000_000
SIZE = 10 * MB


def fill(head: bytes, piece: bytes, tail: bytes = b"", size: int = SIZE) -> bytes:
    """As many of `piece` as make a body of ten megabytes."""
    return head + piece * ((size - len(head) - len(tail)) // len(piece)) + tail


def listed() -> bytes:
    days = [f"2020-{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 29)]
    rows = [
        {"station": ("Sydney", "Perth")[number % 2], "date": days[number % len(days)],
         "observation": {"humidity_3pm": number % 101, "rainfall": number % 37}}
        for number in range(100_000)
    ]  # fmt: skip
    return json.dumps(rows, separators=(",", ":")).encode()


def table() -> bytes:
    """With all columns, most of them filled."""
    columns = (
        "station,date,min_temp,max_temp,rainfall,evaporation,sunshine,wind_gust_dir,wind_gust_speed,temp_9am,humidity_9am,"
        "cloud_9am,wind_dir_9am,wind_speed_9am,pressure_9am,temp_3pm,humidity_3pm,cloud_3pm,wind_dir_3pm,wind_speed_3pm,"
        "pressure_3pm,rain_today"
    )
    lines = [columns]
    for number in range(100_000):
        day, n = f"20{10 + number % 9}-{1 + number % 12:02}-{1 + number % 28:02}", number % 10
        lines.append(
            f"Sydney,{day},{5 + n}.{n},2{n}.4,{n}.2,,,NNW,4{n},1{n}.1,5{n},,NNE,1{n},101{n}.3,"
            f"1{n}.9,6{n},,SSW,1{n},100{n}.1,"
        )
    return "\n".join(lines).encode()


def of_many_keys() -> bytes:
    row = b"{" + b",".join(b'"%x":1' % key for key in range(6000)) + b"}"
    return b"[" + b",".join([row] * 150) + b"]"


BODIES: dict[str, tuple[str, Callable[[], bytes], int]] = {
    "newlines": ("text/csv", lambda: fill(b"", b"\n"), 422),
    "newlines below a header": ("text/csv", lambda: fill(b"station,date,humidity_3pm\n", b"\n"), 422),
    "carriage returns": ("text/csv", lambda: fill(b"station,date,humidity_3pm\n", b"\r\n"), 422),
    "a million columns": ("text/csv", lambda: fill(b"station,date", b",humidity"), 422),
    "a row of commas": ("text/csv", lambda: fill(b"station,date,humidity_3pm\n", b","), 422),
    "rows of commas": ("text/csv", lambda: fill(b"station,date,humidity_3pm\n", b"," * 60_000 + b"\n"), 200),
    "a quote not closed": ("text/csv", lambda: fill(b'station,date,humidity_3pm\n"', b"a\n"), 422),
    "a row over many lines": ("text/csv", lambda: fill(b"station,date,humidity_3pm\n", b'"\n",'), 422),
    "empty lists": ("application/json", lambda: fill(b"[[]", b",[]", b"]"), 422),
    "empty rows": ("application/json", lambda: fill(b"[{}", b",{}", b"]"), 422),
    "a row of rows": ("application/json", lambda: fill(b'[{"observation":[{}', b",{}", b"]}]"), 422),
    "nested": ("application/json", lambda: fill(b"", b"["), 422),
    "blanks": ("application/json", lambda: fill(b"[", b" ", b"{}]"), 200),
    "one text": ("application/json", lambda: fill(b'["', "\U0001f327".encode(), b'"]'), 422),
    "keys": ("application/json", of_many_keys, 200),
    "a JSON of 100,000 rows": ("application/json", listed, 200),
    "a CSV of 100,000 rows": ("text/csv", table, 200),
}  # fmt: skip


def peak_and_idle(house: Any, part: str) -> tuple[float, float]:
    """The peak of its resident memory since `forget_peak`, and what it is now, bytes."""
    status = Path(f"/proc/{house.running[part].pid}/status").read_text(encoding="ascii")
    known = dict(line.split(":", 1) for line in status.splitlines())
    return tuple(int(known[name].split()[0]) * 1024 for name in ("VmHWM", "VmRSS"))  # type: ignore[return-value]


def forget_peak(house: Any, part: str) -> None:
    Path(f"/proc/{house.running[part].pid}/clear_refs").write_text("5", encoding="ascii")


@pytest.fixture(scope="module")
def idle(house: Any, doors: dict[str, httpx.Client]) -> dict[str, float]:
    """What each part takes when all it needs is loaded and it does nothing, bytes; what was asked since counts."""
    for client in doors.values():
        client.post("/predict", json={**ROW, "explain": True}).raise_for_status()
        client.post("/predict/batch", json=[ROW]).raise_for_status()
    return {part: peak_and_idle(house, part)[1] for part in doors}


@pytest.mark.parametrize("body", BODIES)
def test_no_body_takes_more_than_five_times_its_size(
    house: Any, doors: dict[str, httpx.Client], idle: dict[str, float], body: str
) -> None:
    kind, made, status = BODIES[body]
    content = made()
    for part in doors:
        forget_peak(house, part)
    headers = {"Content-Type": kind, "Accept": kind}
    with doors["gateway"].stream("POST", "/predict/batch", content=content, headers=headers, timeout=300) as answer:
        for _ in answer.iter_bytes():
            pass
    grown = {part: (peak_and_idle(house, part)[0] - idle[part]) / len(content) for part in doors}
    assert answer.status_code == status
    assert max(grown.values()) < 5, grown


def test_a_long_request_for_one_prediction_is_refused_unread(
    house: Any, doors: dict[str, httpx.Client], idle: dict[str, float]
) -> None:
    content = b"{" + b",".join(b'"%x":1' % key for key in range(900_000)) + b"}"
    for part, client in doors.items():
        forget_peak(house, part)
        answer = client.post("/predict", content=content, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
        assert (peak_and_idle(house, part)[0] - idle[part]) / len(content) < 5


def test_who_leaves_a_batch_stops_the_work(house: Any, doors: dict[str, httpx.Client]) -> None:
    key = "left-in-the-middle"
    headers = {"Content-Type": "text/csv", "Accept": "text/csv", "X-Request-ID": key}
    with doors["gateway"].stream("POST", "/predict/batch", content=table(), headers=headers) as answer:
        assert answer.status_code == 200

    def left(part: str) -> bool:
        return any(line.get("request_id") == key and line["status"] == 499 for line in house.lines(part))

    for part in doors:
        house.eventually(lambda part=part: left(part), 30)
