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
from pathlib import Path
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
def door(tmp_path: Path, serve: Callable[[Any], str], lack: Callable[[str], None], eventually: Any) -> Iterator[Door]:
    if NGINX is None:
        lack("Debian's nginx-light")
    folder = tmp_path
    runpy.run_path(str(REPOSITORY / "deploy/containers/make_secrets.py"))["certify"](folder / "tls", "localhost")
    methods = ["GET", "POST"]
    app = Starlette(routes=[WebSocketRoute("/stream", _echo), Route("/{path:path}", _tell, methods=methods)])
    upstream = serve(app)
    ports = {}
    for number in ("8080", "8443", "8444"):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            ports[number] = probe.getsockname()[1]
    text = (REPOSITORY / "deploy/proxy/nginx.conf").read_text(encoding="utf-8")
    for there, here in (
        ("user nginx;", "user root;" if os.geteuid() == 0 else ""),
        ("/tmp", str(folder)),  # noqa: S108
        ("/etc/nginx/tls", f"{folder}/tls"),
    ):
        text = text.replace(there, here)
    text = re.sub(r"http://(console:8002|gateway:8001)", upstream, text)
    for number, port in ports.items():
        text = re.sub(rf"listen {number}\b", f"listen 127.0.0.1:{port}", text)
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(NGINX), "-c", folder / "nginx.conf", "-p", folder, "-g", "daemon off;"], stdout=log, stderr=log
        )
    try:
        eventually(lambda: _listens(ports["8444"]) or process.poll() is not None)
        assert process.poll() is None, (folder / "log").read_text()
        trust = ssl.create_default_context(cafile=folder / "tls/tls.crt")
        yield Door(f"http://localhost:{ports['8080']}", f"https://localhost:{ports['8443']}",
                   f"https://localhost:{ports['8444']}", trust)  # fmt: skip
    finally:
        process.terminate()
        process.wait(20)


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
