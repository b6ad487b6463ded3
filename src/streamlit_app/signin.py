"""Routes beside Streamlit: login and logout, and the gate before every page and the websocket."""

import html
from http.cookies import SimpleCookie
from importlib.resources import files
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meteo.errors import MeteoError, NotAuthenticated
from streamlit_app.desk import Desk
from streamlit_app.session import COOKIE, try_close

_OPEN = ("/login", "/logout", "/_stcore/health")
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "frame-ancestors 'self'; form-action 'self'; base-uri 'self'; object-src 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"referrer-policy", b"same-origin"),
]


class Gate:
    """Pure ASGI middleware: without a session there is the login page and nothing else."""

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self.app = app
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._desk.metrics.answered(scope["method"], scope["path"], message["status"])
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        path = scope["path"]
        if path in _OPEN or await run_in_threadpool(self._desk.sessions.known, _cookie(scope)):
            await self.app(scope, receive, answer)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif path.startswith(("/_stcore/", "/static/", "/media/")):
            await PlainTextResponse("Not logged in", 401)(scope, receive, answer)
        else:
            await RedirectResponse(f"/login?next={quote(path, safe='')}", 303)(scope, receive, answer)


def routes(desk: Desk, secure: bool) -> list[Route]:
    """`secure`: the console is reached over https, so its cookie must be too."""

    async def login(request: Request) -> Response:
        following = _safe(request.query_params.get("next", "/"))
        if request.method == "GET":
            return await run_in_threadpool(_page, desk, following)
        if not _same_site(request):
            return PlainTextResponse("Log in from the console's own page.", 403)
        form = await request.form(max_files=0, max_fields=4)
        username, password = str(form.get("username", "")), str(form.get("password", ""))
        try:
            tokens = await run_in_threadpool(desk.gateway.log_in, username, password)
        except NotAuthenticated:
            return await run_in_threadpool(_page, desk, following, "The user name or the password is wrong.", 401)
        except MeteoError as error:
            return await run_in_threadpool(_page, desk, following, error.detail, error.status)
        response = RedirectResponse(following, 303)
        session = await run_in_threadpool(desk.sessions.open, tokens)
        response.set_cookie(COOKIE, session, httponly=True, samesite="lax", secure=secure, path="/")
        return response

    async def logout(request: Request) -> Response:
        if not _same_site(request):
            return PlainTextResponse("Log out from the console's own page.", 403)
        await run_in_threadpool(try_close, desk.sessions, request.cookies.get(COOKIE))
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE, path="/")
        return response

    return [Route("/login", login, methods=["GET", "POST"]), Route("/logout", logout, methods=["GET"])]


def _page(desk: Desk, following: str, problem: str = "", status: int = 200) -> HTMLResponse:
    try:
        simulated = bool(desk.gateway.status()["simulated"])
    except MeteoError as error:
        simulated, problem = False, problem or error.detail
    banner = '<p class="demo"><b>DEMO DATA</b>: simulated weather, not real observations.</p>' if simulated else ""
    template = files("streamlit_app").joinpath("login.html").read_text(encoding="utf-8")
    shown = f'<p class="problem" role="alert">{html.escape(problem)}</p>' if problem else ""
    page = template.replace("<!--banner-->", banner).replace("<!--problem-->", shown)
    return HTMLResponse(page.replace("{next}", quote(following, safe="")), status)


def _safe(path: str) -> str:
    """A path of this console, never another host."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else "/"


def _same_site(request: Request) -> bool:
    """Browsers say where a request comes from; a page of another site may not log anybody in or out."""
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        return False
    return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


def _cookie(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"cookie":
            found = SimpleCookie(value.decode("latin-1")).get(COOKIE)
            return found.value if found else None
    return None
