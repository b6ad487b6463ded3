from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from streamlit_app.client import Gateway
from streamlit_app.context import AppContext
from streamlit_app.drafts import Drafts
from streamlit_app.login import Gate, routes
from streamlit_app.session import ConsoleSessions


@pytest.fixture
def client(gateway: Gateway, sessions: ConsoleSessions, drafts: Drafts) -> Iterator[TestClient]:
    async def page(request: Request) -> Response:
        if request.url.path == "/app":
            return HTMLResponse('<!doctype html><html lang="en"><body>Streamlit</body></html>', headers={"ETag": "1"})
        return PlainTextResponse(f"page {request.url.path}")

    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")
        await socket.close()

    context = AppContext(gateway, sessions, drafts)
    app = Starlette(
        routes=[*routes(context, secure=True), WebSocketRoute("/_stcore/stream", stream), Route("/{path:path}", page)],
        middleware=[Middleware(Gate, context=context), Middleware(GZipMiddleware, minimum_size=1)],
    )
    with TestClient(app, base_url="https://context", follow_redirects=False) as found:
        yield found


def log_in(client: TestClient, following: str = "/", **form: str) -> Any:
    data = {"username": "ann", "password": "right password", **form}
    return client.post("/login", params={"next": following}, data=data)


def test_without_a_session_every_page_leads_to_the_login_and_back(client: TestClient) -> None:
    answer = client.get("/pipelines")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fpipelines")
    assert client.get("/_stcore/host-config").status_code == 401
    assert client.get("/static/index.js").status_code == 401
    assert client.get("/_stcore/health").status_code == 200
    assert log_in(client, "/pipelines").headers["location"] == "/pipelines"
    assert client.get("/pipelines").text == "page /pipelines"


def test_the_websocket_needs_a_session(client: TestClient) -> None:
    own = {"origin": "https://context"}
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("wss://context/_stcore/stream", headers=own):
        pytest.fail("opened without a session")
    log_in(client)
    with client.websocket_connect("wss://context/_stcore/stream", headers={"origin": "https://context"}) as socket:
        assert socket.receive_text() == "hello"


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(client: TestClient) -> None:
    cookie = log_in(client).headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=lax", "secure", "path=/"))


def test_a_wrong_password_is_said_and_nothing_is_repeated(client: TestClient) -> None:
    answer = log_in(client, password="canary<script>")
    assert answer.status_code == 401
    assert "The user name or the password is wrong." in answer.text
    assert "canary" not in answer.text
    assert "set-cookie" not in answer.headers


def test_the_way_back_keeps_what_was_asked_for(client: TestClient) -> None:
    assert client.get("/?station=Perth").headers["location"] == "/login?next=%2F%3Fstation%3DPerth"
    assert log_in(client, "/?station=Perth").headers["location"] == "/?station=Perth"


def test_the_login_speaks_the_browsers_language_or_the_chosen_one(client: TestClient) -> None:
    assert "<label>User name" in client.get("/login").text
    french = client.get("/login", headers={"Accept-Language": "fr-CA,fr;q=0.9,en;q=0.8"}).text
    assert "<label>Nom d’utilisateur" in french
    assert '<html lang="fr">' in french
    chosen = client.get("/language", params={"to": "fr", "next": "/login"})
    assert (chosen.status_code, chosen.headers["location"]) == (303, "/login")
    assert "<label>Nom d’utilisateur" in client.get("/login", headers={"Accept-Language": "en"}).text
    assert "Le nom d’utilisateur ou le mot de passe est incorrect." in log_in(client, password="wrong").text


@pytest.mark.parametrize("asked", ["de", "", "fr; path=/evil", "../fr"])
def test_a_language_that_there_is_not_changes_nothing(client: TestClient, asked: str) -> None:
    answer = client.get("/language", params={"to": asked, "next": "//evil.example"})
    assert answer.headers["location"] == "/"
    assert "set-cookie" not in answer.headers


def test_streamlits_page_says_its_language_and_is_not_kept_in_another(client: TestClient) -> None:
    log_in(client)
    assert '<html lang="en">' in client.get("/app").text
    client.get("/language", params={"to": "fr"})
    page = client.get("/app")
    assert '<html lang="fr">' in page.text
    assert "etag" not in page.headers


def test_the_gateway_knows_each_browser_that_logged_in_before(client: TestClient, fake: Any) -> None:
    cookie = log_in(client).headers.get_list("set-cookie")[1].lower()
    assert cookie.startswith("device-ann=login-1;")
    assert all(part in cookie for part in ("httponly", "samesite=strict", "secure", "path=/login"))
    log_in(client, password="wrong")
    client.cookies.clear()
    log_in(client)
    odd = {b"Cookie": "device-x=\u00e9; other=1".encode()}
    client.post("/login", data={"username": "ann", "password": "wrong"}, headers=odd)
    assert fake.cookies == [{}, {"device-ann": "login-1"}, {}, {}], "each browser's own, and the console keeps none"


def test_the_gateway_is_told_who_logs_in(client: TestClient, fake: Any) -> None:
    log_in(client)
    assert fake.peers == ["testclient"]


@pytest.mark.parametrize(
    "hostile", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/\n"]
)
def test_the_way_back_stays_in_this_console(client: TestClient, hostile: str) -> None:
    assert log_in(client, hostile).headers["location"] == "/"


def test_what_is_shown_of_the_way_back_is_escaped(client: TestClient) -> None:
    assert '"><script>' not in client.get("/login", params={"next": '/"><script>'}).text


@pytest.mark.parametrize("headers", [
    {"origin": "https://evil.example"}, {"origin": "null"}, {"origin": "http://context"}, {"origin": "https://context:8443"},
    {"origin": "https://context.evil.example"}, {"origin": ""}, {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
])  # fmt: skip
def test_another_site_can_log_nobody_in_or_out(client: TestClient, headers: dict[str, str], fake: Any) -> None:
    form = {"username": "ann", "password": "right password"}
    assert client.post("/login", data=form, headers=headers).status_code == 403
    log_in(client)
    assert client.get("/logout", headers=headers).status_code == 403
    assert fake.live


def test_logging_out_ends_the_session(client: TestClient, fake: Any) -> None:
    log_in(client)
    answer = client.get("/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert fake.live == set()
    assert client.get("/").status_code == 303


def test_the_login_page_says_demo_when_the_data_are(client: TestClient, fake: Any) -> None:
    assert "DEMO DATA" in client.get("/login").text
    fake.simulated = False
    assert "DEMO DATA" not in client.get("/login").text


def test_every_answer_carries_the_security_headers(client: TestClient) -> None:
    for path in ("/login", "/", "/_stcore/health"):
        headers = client.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
