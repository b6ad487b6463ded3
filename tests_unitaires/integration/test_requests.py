"""Attacks by requests, on the running gateway and model API."""

import csv
import gzip
import http.client
import io
import itertools
import json
import re
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

PREDICTION = {"station": "Sydney", "date": "2020-02-10", "observation": {"humidity_3pm": 80}}
EVIL = ["..", "%2e%2e", "..%2f..%2fstate", "%252e%252e", "a%2fb", "a\\b", "%5c..%5c", "%00", "Sydney%00", "Sydney%0a",
        "", "/", "//", ".", "%", "%zz", "%ff", "‮", "💧" * 60, "a" * 3000, "'--", "${x}", "{{7*7}}", "1e9", "-1",
        "99999999999999999999"]  # fmt: skip


@pytest.fixture(scope="module")
def ann(house: Any) -> Iterator[httpx.Client]:
    with house.client("ann") as client:
        yield client


@pytest.fixture(scope="module")
def root(house: Any) -> Iterator[httpx.Client]:
    with house.client("root") as client:
        yield client


@pytest.fixture(scope="module")
def routes(house: Any) -> dict[str, dict[str, Any]]:
    """The operations of the running gateway's OpenAPI document, by method and path."""
    with house.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
    return {f"{method.upper()} {path}": operation for path, by in paths.items() for method, operation in by.items()}


def predicted(client: httpx.Client, body: bytes | str, path: str = "/predict") -> httpx.Response:
    content = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
    return client.post(path, content=content, headers={"Content-Type": "application/json"})


def refused(answer: httpx.Response) -> dict[str, Any]:
    """The problem of an answer that must be one."""
    assert answer.status_code in (400, 404, 413, 415, 422), (answer.status_code, answer.text[:300])
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert {"type", "title", "detail", "instance"} <= set(problem)
    return problem


BODY = '{"station": "Sydney", "date": "2020-02-10", "observation": {"humidity_3pm": %s}}'


@pytest.mark.parametrize(
    "value",
    ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1" * 5000, "true", "false", '"80"',
     '""', "[]",
     "{}", "[80]", "101", "-1", '"\\ud800"', '"\\u0000"', "80}", "8_0", "0x50", "٨٠", "1e", "[" * 100_000,
     '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000],
    ids=lambda value: value[:12],
)  # fmt: skip
def test_a_number_that_is_none_is_refused_by_name(ann: httpx.Client, value: str) -> None:
    problem = refused(predicted(ann, BODY % value))
    assert problem["status"] in (400, 422)
    assert len(json.dumps(problem)) < 2000, "the input is not sent back"


@pytest.mark.parametrize(
    "body",
    ["", "null", "[]", "{}", '"x"', "7", "{", "\x00", "\ufeff{}", '{"station": "Sydney"}', b"\xff\xfe{}", b"\x80",
     BODY % "80" + "x", (BODY % "80").replace('"date"', '"day"'), (BODY % "80").replace("2020-02-10", "2020-02-30"),
     (BODY % "80").replace("2020-02-10", "0000-01-01"), (BODY % "80").replace("2020-02-10", "99999-01-01"),
     (BODY % "80").replace("2020-02-10", "10/02/2020"), (BODY % "80").replace('"2020-02-10"', "1581292800"),
     (BODY % "80").replace("humidity_3pm", "Humidity3pm"), (BODY % "80").replace('"humidity_3pm": 80', ""),
     (BODY % "80").replace("}}", '}, "model": "../1"}'), (BODY % "80").replace("}}", '}, "explain": "yes"}'),
     (BODY % "80").replace("}}", '}, "\\ud800": 1}'), (BODY % "null").replace("}}", '}, "extra": {}}')],
    ids=lambda body: str(body)[:40],
)  # fmt: skip
def test_a_body_that_is_no_question_is_refused(ann: httpx.Client, body: str | bytes) -> None:
    problem = refused(predicted(ann, body))
    assert problem["detail"], "it says what is wrong"
    assert "probability" not in problem


@pytest.mark.parametrize(
    "fields",
    [{"min_temp": 30, "max_temp": 10}, {"rain_today": True, "rainfall": 0.0}, {"rain_today": False, "rainfall": 12.0},
     {"wind_gust_dir": "north"}, {"wind_gust_dir": "n"}, {"cloud_9am": 10}, {"humidity_9am": 101},
     {"pressure_9am": 101.3},
     {"rainfall": -0.1}, {"sunshine": 25}, {"rain_today": 1}],
    ids=str,
)  # fmt: skip
def test_an_impossible_day_is_refused_naming_the_field(ann: httpx.Client, fields: dict[str, Any]) -> None:
    problem = refused(ann.post("/predict", json={**PREDICTION, "observation": fields}))
    assert any(name in error["field"] for error in problem["errors"] for name in fields)


@pytest.mark.parametrize(
    "name",
    ["Sydney\x00", "Sydney\n", "\nSydney", "Syd\u202eney",
     "Sydney\u200f", "Ｓｙｄｎｅｙ", "Sydne\u0079\u0301", "sydney ",
     "SYDNEY\r\n{\"level\":\"error\"}", "Sydney'; DROP TABLE users;--", "🌧", "x" * 10_000, "", " "],
    ids=ascii,
)  # fmt: skip
def test_an_odd_station_is_refused_and_leaves_one_escaped_line(house: Any, ann: httpx.Client, name: str) -> None:
    key = f"odd-station-{abs(hash(name))}"
    answer = ann.post("/predict", json={**PREDICTION, "station": name}, headers={"X-Request-ID": key})
    problem = refused(answer)
    assert problem["status"] == 422
    assert any(error["field"] == "station" for error in problem["errors"])
    assert len(answer.content) < 3000
    for part in ("gateway", "api_model"):
        house.eventually(lambda part=part: key in house.log(part))  # written once the answer has gone
        (line,) = [line for line in house.lines(part) if line.get("request_id") == key]
        assert line["status"] == 422
    assert house.log("gateway").isascii()


def test_an_unknown_station_is_answered_with_the_nearest_names(ann: httpx.Client) -> None:
    problem = refused(ann.post("/predict", json={**PREDICTION, "station": "Sidney"}))
    assert "Sydney" in problem["detail"]


def test_no_path_leaves_its_route(house: Any, routes: dict[str, Any], root: httpx.Client) -> None:
    asked = 0
    for route, evil in itertools.product(routes, EVIL):
        method, path = route.split()
        names = re.findall(r"{(\w+)}", path)
        for name in names:
            whole = path.replace(f"{{{name}}}", evil)
            for other in names:
                whole = whole.replace(f"{{{other}}}", "x")
            connection = http.client.HTTPConnection("127.0.0.1", house.ports["gateway"], timeout=30)
            target = whole if whole.isascii() else quote(whole, safe="/%{}\\$'")
            connection.putrequest(method, target, skip_host=False)
            connection.putheader("Authorization", root.headers["Authorization"])
            connection.putheader("Content-Length", "2")
            connection.endheaders(b"{}")
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            # a GET of /stations//observations may not be the list of all stations, nor a promotion happen
            assert answer.status in (400, 404, 405, 409, 422, 503), (method, whole[:80], answer.status, content[:200])
            assert b"roblem" in (answer.getheader("Content-Type") or "").encode(), (whole[:80], content[:200])
            asked += 1
    assert asked > 200
    answered = {line.get("route") for line in house.lines("api_model") if line.get("status") == 200}
    assert answered <= {"/predict", "/predict/batch", "/state"}, "nothing that was asked for by an odd path"


def test_every_route_answers_each_role_as_declared(house: Any, routes: dict[str, Any], ann: httpx.Client) -> None:
    for route, operation in routes.items():
        method, path = route.split()
        whole = re.sub(r"{(\w+)}", "x", path.replace("{version}", "1"))
        with house.client() as nobody:
            code = nobody.request(method, whole).status_code
        if not operation.get("security"):
            assert code not in (401, 403) or path in ("/register", "/token/refresh"), route
            continue
        assert code == 401, route
        if path.startswith("/admin"):
            assert ann.request(method, whole).status_code == 403, route
        else:
            assert ann.request(method, whole, params={"limit": 0}).status_code not in (401, 403), route
            if path == "/logout":
                ann.headers.update(house.client("ann").headers)


def test_what_does_not_exist_is_a_problem_too(house: Any, ann: httpx.Client) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("DELETE", "/predict", 405), ("PUT", "/token", 405),
                                 ("GET", "/admin", 404), ("TRACE", "/predict", 405),
                                 ("OPTIONS", "/predict", 405)):  # fmt: skip
        answer = ann.request(method, path)
        assert answer.status_code == status, (method, path)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-request-id"]
        if status == 405:
            assert answer.headers["allow"]


def test_a_body_of_another_kind_is_refused(ann: httpx.Client) -> None:
    for kind in (
        "application/xml",
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
    ):
        answer = ann.post("/predict/batch", content=b"<x/>", headers={"Content-Type": kind})
        assert refused(answer)["status"] == 415
        answer = ann.post("/predict", content=BODY % 80, headers={"Content-Type": kind})
        assert refused(answer)["status"] == 415
    answer = ann.post("/predict", content=gzip.compress(b"0" * 10**8), headers={"Content-Encoding": "gzip"})
    assert refused(answer)["status"] == 415, "no body is unpacked"


def test_too_much_is_refused_in_little_memory(house: Any, ann: httpx.Client) -> None:
    before = house.memory_mb("gateway")
    bearer = ann.headers["Authorization"].encode()
    head = b"POST /predict/batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: " + bearer
    assert b" 413 " in house.raw(head + b"\r\nContent-Length: 10000001\r\n\r\n")[:20]
    piece = b"10000\r\n" + b"[" * 65536 + b"\r\n"
    assert b" 413 " in house.raw(head + b"\r\nTransfer-Encoding: chunked\r\n\r\n", *[piece] * 400)[:20]
    assert b" 431 " in house.raw(head + b"\r\nX-Long: " + b"a" * 100_000 + b"\r\n\r\n")[:20]
    assert b" 4" in house.raw(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")[:20]
    assert house.memory_mb("gateway") - before < 60


def test_dripping_is_ended_within_ten_seconds_and_others_are_served(house: Any, ann: httpx.Client) -> None:
    bearer = ann.headers["Authorization"].encode()
    starts = (
        b"GET /stations HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\nAuthorization: " + bearer + b"\r\n\r\n",
        b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n",
    )
    lives: list[float] = []

    def drip(start: bytes) -> None:
        import socket

        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", house.ports["gateway"]), timeout=1) as connection:
            connection.sendall(start)
            while time.monotonic() - began < 30:
                try:
                    connection.sendall(b"a")
                    if connection.recv(1000) == b"":
                        break
                except TimeoutError:
                    continue
                except ConnectionError:
                    break
        lives.append(time.monotonic() - began)

    threads = [threading.Thread(target=drip, args=(start,)) for start in starts * 10]
    for thread in threads:
        thread.start()
    for _ in range(20):
        assert ann.post("/predict", json=PREDICTION).status_code == 200
    for thread in threads:
        thread.join()
    assert max(lives) < 12


def test_no_page_of_another_site_may_read_or_ask(house: Any, ann: httpx.Client) -> None:
    for origin in ("https://evil.example", "null", "http://127.0.0.1.evil.example"):
        for answer in (
            ann.post("/predict", json=PREDICTION, headers={"Origin": origin}),
            ann.options("/predict", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}),
            ann.get("/status", headers={"Origin": origin}),
        ):
            assert not [name for name in answer.headers if name.startswith("access-control")]
    with house.client() as client:  # no cookie is an identity, so a cross-site form has none
        cookie = {"Cookie": f"token={ann.headers['Authorization'][7:]}; session=1"}
        assert client.post("/predict", json=PREDICTION, headers=cookie).status_code == 401


def test_one_reads_only_ones_own_predictions(house: Any, ann: httpx.Client, root: httpx.Client) -> None:
    house.add("bob")
    with house.client("bob") as bob:
        mine = bob.post("/predict", json=PREDICTION).raise_for_status().json()["prediction_id"]
        assert [entry["prediction_id"] for entry in bob.get("/predictions").json()] == [mine]
    assert mine not in ann.get("/predictions?limit=500").text
    assert mine in root.get("/predictions?limit=500").text


HEADER = "station,date,humidity_3pm,wind_dir_3pm\n"


def table(
    client: httpx.Client, content: str | bytes, kind: str = "text/csv", accept: str = "text/csv"
) -> httpx.Response:
    data = content if isinstance(content, bytes) else content.encode()
    return client.post("/predict/batch", content=data, headers={"Content-Type": kind, "Accept": accept})


def test_a_bad_row_harms_no_other(ann: httpx.Client) -> None:
    bad = ["Nowhere,2020-02-10,80,N", "Sydney,2020-02-31,80,N", "Sydney,2020-02-10,eighty,N", "Sydney,2020-02-10,800,N",
           "Sydney,2020-02-10,80,Q", "Sydney,2020-02-10", ",,,",
           "Sydney,2020-02-10,NaN,N", "=1+1,2020-02-10,80,N"]  # fmt: skip
    lines = list(itertools.chain.from_iterable((line, "Sydney,2020-02-10,80,N") for line in bad))
    found = list(csv.DictReader(io.StringIO(table(ann, HEADER + "\n".join(lines) + "\n").raise_for_status().text)))
    assert len(found) == len(lines)
    for number, row in enumerate(found):
        assert bool(row["probability"]) == (number % 2 == 1), row
        assert bool(row["error"]) == (number % 2 == 0), row
    answers = table(ann, HEADER + "\n".join(lines), accept="application/json").json()
    assert [("error" in json.dumps(answer)) for answer in answers] == [True, False] * len(bad)


@pytest.mark.parametrize(
    "content",
    ["", "\n", "station;date;humidity_3pm\nSydney;2020-02-10;80\n", "date,humidity_3pm\n2020-02-10,80\n",
     "station,date,humidity\nSydney,2020-02-10,80\n", "station,station,date\nSydney,Sydney,2020-02-10\n", HEADER,
     "Sydney,2020-02-10,80,N\n", b"\xff\xfe" + "station,date\n".encode("utf-16-le"),
     ("station,date,humidity_3pm\nCaf\xe9,2020-02-10,80\n").encode("latin-1"), b"PK\x03\x04" + b"\x00" * 100],
    ids=lambda content: ascii(content[:30]),
)  # fmt: skip
def test_a_file_that_is_no_table_is_refused_saying_what_would_be(ann: httpx.Client, content: str | bytes) -> None:
    problem = refused(table(ann, content))
    assert problem["status"] == 422
    assert len(problem["detail"]) > 20


def test_exported_cells_cannot_run(ann: httpx.Client) -> None:
    hostile = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1", '"=1"', "\r=1"]
    lines = "".join(f'"{cell.replace(chr(34), chr(34) * 2)}",2020-02-10,80,N\n' for cell in hostile)
    text = table(ann, HEADER + lines).text
    for row in csv.reader(io.StringIO(text)):
        for cell in row:
            assert not cell.lstrip().startswith(("=", "+", "@", "-")), cell


def test_a_hundred_thousand_rows_pass_through_in_little_memory(house: Any, ann: httpx.Client) -> None:
    content = (HEADER + "Sydney,2020-02-10,80,N\n" * 100_000).encode()
    before = house.memory_mb("gateway")
    answer = ann.post("/predict/batch", content=content, timeout=300,
                      headers={"Content-Type": "text/csv", "Accept": "text/csv"})  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(answer.raise_for_status().text)))
    assert len(rows) == 100_000
    assert {row["probability"] for row in rows} == {rows[0]["probability"]}
    assert len({row["prediction_id"] for row in rows}) == 100_000
    assert house.memory_mb("gateway") - before < 60, f"for an answer of {len(answer.content) / 1e6:.0f} MB"
    too_many = table(ann, HEADER + "Sydney,2020-02-10,80,N\n" * 100_001)
    assert refused(too_many)["status"] in (413, 422)
