"""The real console, as a process of its own: only its own pages open its websocket or have it do anything."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from streamlit_app.session import COOKIE

FOREIGN = [
    "http://localhost:3000", "http://127.0.0.1:8501", "http://192.168.1.20:8002", "http://10.0.0.7", "null", "",
    "http://evil.example", "file://", "http://localhost", "https://localhost",
]  # fmt: skip


@dataclass
class Console:
    """A running console; `origin` is that of its own pages."""

    address: str
    origin: str

    def client(self, **headers: str) -> httpx.Client:
        return httpx.Client(base_url=self.address, trust_env=False, timeout=30, headers=headers)

    def log_in(self) -> str:
        """A session's cookie."""
        with self.client(Origin=self.origin) as client:
            answer = client.post("/login", data={"username": "ann", "password": "right password"})
            assert answer.status_code == 303, answer.text
            return f"{COOKIE}={answer.cookies[COOKIE]}"

    def opens(self, cookie: str, origin: str | None) -> bool:
        """Whether the websocket opens for a page of `origin`."""
        headers = {"Cookie": cookie} | ({} if origin is None else {"Origin": origin})
        address = f"{self.address.replace('http', 'ws', 1)}/_stcore/stream"
        try:
            with connect(address, additional_headers=headers, proxy=None, open_timeout=30):
                return True
        except InvalidStatus:
            return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture(params=["", "https://context.example"], ids=["as reached", "behind a proxy"])
def console(
    request: pytest.FixtureRequest, tmp_path: Path, fake: Any, serve: Callable[[Any], str],
    eventually: Callable[..., None],
) -> Iterator[Console]:  # fmt: skip
    port, metrics_port = _free_port(), _free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("METEO_")} | {
        "METEO_HOME": str(tmp_path), "METEO_GATEWAY__URL": serve(fake.app()), "METEO_CONSOLE__PORT": str(port),
        "METEO_CONSOLE__METRICS_PORT": str(metrics_port), "METEO_CONSOLE__URL": request.param,
    }  # fmt: skip
    address = f"http://localhost:{port}"

    def healthy() -> bool:
        try:
            return httpx.get(f"{address}/_stcore/health", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "streamlit_app"], env=environment, stdout=log, stderr=log)
    try:
        eventually(healthy, 60)
        yield Console(address, request.param or address)
    finally:
        process.terminate()
        process.wait(30)


def test_only_the_consoles_own_pages_reach_it(console: Console) -> None:
    cookie = console.log_in()
    assert console.opens(cookie, console.origin)
    assert not console.opens(f"{COOKIE}=made-up", console.origin)
    others = [*FOREIGN, console.origin.replace("https", "http") + ":1", console.origin.replace("http", "x", 1)]
    assert [origin for origin in others if console.opens(cookie, origin)] == []
    assert not console.opens(cookie, None), "browsers always tell the origin of a websocket"
    for origin in others:
        with console.client(Cookie=cookie, Origin=origin) as client:
            answers = [
                client.get("/"), client.get("/_stcore/host-config"), client.post("/login"), client.get("/logout"),
                client.request("OPTIONS", "/_stcore/upload_file/a/b"), client.put("/_stcore/upload_file/a/b"),
            ]  # fmt: skip
            assert {answer.status_code for answer in answers} == {403}
            assert not any("access-control-allow-origin" in answer.headers for answer in answers)
    with console.client(Cookie=cookie) as client:
        assert client.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200, "a link from elsewhere"
        assert client.put("/_stcore/upload_file/a/b", headers={"Sec-Fetch-Site": "same-site"}).status_code == 403
        assert client.get("/logout", headers={"Sec-Fetch-Site": "same-site"}).status_code == 403
