"""The proxy's configuration in a real nginx, before services that say what reached them."""

import os
import re
import runpy
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.sync.client import connect

REPOSITORY = Path(__file__).resolve().parents[2]
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


@dataclass(frozen=True)
class Door:
    plain: str
    console: str
    gateway: str
    trust: ssl.SSLContext

    def client(self) -> httpx.Client:
        return httpx.Client(verify=self.trust, trust_env=False, timeout=30)


async def _tell(request: Request) -> JSONResponse:
    return JSONResponse(
        {"headers": dict(request.headers), "path": request.url.path, "bytes": len(await request.body())}
    )


async def _echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close()


@pytest.fixture
def nginx(tmp_path: Path, lack: Callable[[str], None], eventually: Any) -> Iterator[Callable[..., dict[str, int]]]:
    """Starts nginx by one of the configurations, with `instead` of the services' addresses: ports by those in it."""
    if NGINX is None:
        lack("Debian's nginx-light")
    started = []

    def start(name: str, instead: dict[str, str]) -> dict[str, int]:
        folder = tmp_path / name
        folder.mkdir()
        runpy.run_path(str(REPOSITORY / "deploy/containers/make_secrets.py"))["certify"](folder / "tls", "localhost")
        text = (REPOSITORY / "deploy/proxy" / name).read_text(encoding="utf-8")
        for there, here in {
            "user nginx;": "user root;" if os.geteuid() == 0 else "",
            "/tmp": str(folder),  # noqa: S108
            "/etc/nginx/tls": f"{folder}/tls",
            **instead,
        }.items():
            assert there in text or there == "/etc/nginx/tls"
            text = text.replace(there, here)
        ports = {}
        for number in re.findall(r"listen (\d+)", text):
            ports[number] = _free_port()
            text = re.sub(rf"listen {number}\b", f"listen 127.0.0.1:{ports[number]}", text)
        (folder / "nginx.conf").write_text(text, encoding="utf-8")
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [str(NGINX), "-c", folder / "nginx.conf", "-p", folder, "-g", "daemon off;"], stdout=log, stderr=log
            )
        started.append(process)
        eventually(lambda: all(map(_listens, ports.values())) or process.poll() is not None)
        assert process.poll() is None, (folder / "log").read_text()
        return ports

    yield start
    for process in started:
        process.terminate()
        process.wait(20)


@pytest.fixture
def service(serve: Callable[[Any], str]) -> str:
    """host:port of a service that says what reached it."""
    methods = ["GET", "POST"]
    app = Starlette(routes=[WebSocketRoute("/stream", _echo), Route("/{path:path}", _tell, methods=methods)])
    return serve(app).removeprefix("http://")


@pytest.fixture
def door(tmp_path: Path, nginx: Callable[..., dict[str, int]], service: str) -> Door:
    """One of the two gateways is away."""
    away = f"127.0.0.1:{_free_port()}"
    ports = nginx("nginx.conf", {"console:8002": service, "gateway:8001": service, "gateway-2:8001": away})
    trust = ssl.create_default_context(cafile=tmp_path / "nginx.conf/tls/tls.crt")
    return Door(f"http://localhost:{ports['8080']}", f"https://localhost:{ports['8443']}",
                f"https://localhost:{ports['8444']}", trust)  # fmt: skip


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_plain_http_is_sent_to_tls(door: Door) -> None:
    answer = httpx.get(f"{door.plain}/map?station=Perth", trust_env=False)
    assert (answer.status_code, answer.headers["location"]) == (301, "https://localhost/map?station=Perth")


def test_both_doors_speak_tls_and_say_who_is_there_whatever_the_client_claims(door: Door) -> None:
    with door.client() as client:
        for address in (door.console, door.gateway):
            answer = client.get(f"{address}/x", headers={"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "http"})
            told = answer.json()["headers"]
            assert (told["x-forwarded-for"], told["x-forwarded-proto"]) == ("127.0.0.1", "https")
            assert told["host"] == address.removeprefix("https://")
            assert answer.headers["strict-transport-security"].startswith("max-age=")
            assert answer.headers["server"] == "nginx"


@pytest.mark.parametrize("path", ["/metrics", "/health/ready", "/metrics/x"])
def test_what_is_for_the_internal_network_does_not_pass(door: Door, path: str) -> None:
    with door.client() as client:
        assert client.get(f"{door.gateway}{path}").status_code == 404


def test_a_body_that_is_too_large_is_refused_before_the_gateway_reads_it(door: Door) -> None:
    with door.client() as client:
        assert client.post(f"{door.gateway}/predict", content=b"x" * 9_000_000).json()["bytes"] == 9_000_000
        assert client.post(f"{door.gateway}/predict", content=b"x" * 11_000_000).status_code == 413


def test_the_consoles_websocket_passes(door: Door) -> None:
    address = door.console.replace("https", "wss")
    with connect(f"{address}/stream", ssl=door.trust, proxy=None) as socket_:
        socket_.send("rain")
        assert socket_.recv() == "rain"


def test_while_one_gateway_is_away_no_request_fails(door: Door) -> None:
    with door.client() as client:
        codes = [client.post(f"{door.gateway}/predict", content=b"x").status_code for _ in range(20)]
    assert codes == [200] * 20


@pytest.mark.parametrize(("conf", "port", "names"), [
    ("nginx.conf", "8001", ("gateway:8001", "gateway-2:8001")),
    ("balancer.conf", "8000", ("api-model:8000", "api-model-2:8000")),
])  # fmt: skip
def test_requests_on_the_internal_network_go_to_whichever_is_there(
    nginx: Callable[..., dict[str, int]], service: str, conf: str, port: str, names: tuple[str, str]
) -> None:
    console = {"console:8002": service} if conf == "nginx.conf" else {}
    ports = nginx(conf, {names[0]: f"127.0.0.1:{_free_port()}", names[1]: service, **console})
    address = f"http://127.0.0.1:{ports[port]}"
    with httpx.Client(trust_env=False, headers={"X-Forwarded-For": "6.6.6.6", "Authorization": "Bearer x"}) as client:
        for _ in range(10):
            told = client.post(f"{address}/predict", content=b"x").json()
            assert (told["bytes"], told["headers"]["authorization"]) == (1, "Bearer x")
            assert told["headers"]["x-forwarded-for"] == "6.6.6.6"  # whom the console asks for


@pytest.mark.parametrize(("conf", "port", "names"), [
    ("nginx.conf", "8001", ("gateway:8001", "gateway-2:8001")),
    ("balancer.conf", "8000", ("api-model:8000", "api-model-2:8000")),
])  # fmt: skip
def test_where_none_can_be_reached_that_is_said_as_every_problem_is(
    nginx: Callable[..., dict[str, int]], service: str, conf: str, port: str, names: tuple[str, str]
) -> None:
    console = {"console:8002": service} if conf == "nginx.conf" else {}
    ports = nginx(conf, {**{name: f"127.0.0.1:{_free_port()}" for name in names}, **console})
    answer = httpx.post(f"http://127.0.0.1:{ports[port]}/predict", headers={"X-Request-ID": "a" * 32}, trust_env=False)
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert int(answer.headers["retry-after"]) > 0
    assert "can be reached" in answer.json()["detail"]
    assert re.fullmatch("[0-9a-f]{32}", answer.json()["request_id"])


def test_replicas_that_were_away_together_are_asked_again_at_once(nginx: Callable[..., dict[str, int]]) -> None:
    port = _free_port()
    away = f"127.0.0.1:{_free_port()}"
    ports = nginx("balancer.conf", {"api-model:8000": f"127.0.0.1:{port}", "api-model-2:8000": away})
    address = f"http://127.0.0.1:{ports['8000']}/"
    assert httpx.get(address, trust_env=False).status_code == 503
    with ThreadingHTTPServer(("127.0.0.1", port), SimpleHTTPRequestHandler) as back:
        Thread(target=back.serve_forever, daemon=True).start()
        codes = [httpx.get(address, trust_env=False).status_code for _ in range(4)]
        back.shutdown()
    assert codes == [200] * 4
