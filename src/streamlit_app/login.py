"""Routes beside Streamlit: login, logout and language, and the gate before every page and the websocket."""

import html
import re
from http.cookies import SimpleCookie
from importlib.resources import files
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meteo.errors import MeteoError, NotAuthenticated
from streamlit_app import language
from streamlit_app.context import AppContext
from streamlit_app.language import Language
from streamlit_app.session import COOKIE, try_close

_OPEN = ("/login", "/logout", "/language", "/_stcore/health")
_FILES = ("/_stcore/", "/static/", "/media/")
_YEAR = 365 * 86_400
_DEVICE = "device-"
"""So the cookies begin by which the gateway knows a browser at its next login."""
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
    """Pure ASGI middleware: without a session there is the login page and nothing else, and pages of another origin get
    nothing at all. `url` is where browsers reach the console; empty: wherever they do."""

    def __init__(self, app: ASGIApp, context: AppContext, url: str = "") -> None:
        self.app = app
        self._context = context
        self._origin = _origin(*url.split("://", 1)) if url else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return

        spoken = _language(scope)
        page = False

        async def answer(message: Message) -> None:
            nonlocal page
            if message["type"] == "http.response.start":
                self._context.metrics.answered(scope["method"], scope["path"], message["status"])
                headers = message["headers"]
                page = any(name == b"content-type" and value.startswith(b"text/html") for name, value in headers)
                if page:  # what a browser has kept may be in another language
                    headers = [one for one in headers if one[0] not in (b"etag", b"last-modified")]
                message["headers"] = [*headers, *_HEADERS]
            elif page and message["type"] == "http.response.body":  # of Streamlit's own page, as long as it was
                message["body"] = message["body"].replace(b'<html lang="en"', f'<html lang="{spoken.code}"'.encode(), 1)
            await send(message)

        path = scope["path"]
        if not path.startswith(_FILES):  # a page is to be read on its way, thus not packed
            scope["headers"] = [one for one in scope["headers"] if one[0] != b"accept-encoding"]
        if not _from_own_page(scope, self._origin):
            refusal = PlainTextResponse(spoken("login.other_site"), 403)
            await refusal(scope, receive, answer)
        elif path in _OPEN or await run_in_threadpool(self._context.sessions.known, _cookie(scope, COOKIE)):
            await self.app(scope, receive, answer)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif path.startswith(_FILES):
            await PlainTextResponse("Not logged in", 401)(scope, receive, answer)
        else:
            query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
            await RedirectResponse(f"/login?next={quote(path + query, safe='')}", 303)(scope, receive, answer)


def routes(context: AppContext, secure: bool) -> list[Route]:
    """`secure`: the console is reached over https, so its cookie must be too."""

    async def login(request: Request) -> Response:
        following = _safe(request.query_params.get("next", "/"))
        t = _language(request.scope)
        if request.method == "GET":
            return await run_in_threadpool(_page, context, t, following)
        form = await request.form(max_files=0, max_fields=4)
        username, password = str(form.get("username", "")), str(form.get("password", ""))
        peer = request.client.host if request.client else ""
        devices = {
            name: value
            for name, value in request.cookies.items()
            if name.startswith(_DEVICE) and f"{name}{value}".isascii()
        }
        try:
            tokens = await run_in_threadpool(context.gateway.log_in, username, password, peer, devices)
        except NotAuthenticated:
            return await run_in_threadpool(_page, context, t, following, t("login.wrong"), 401)
        except MeteoError as error:
            return await run_in_threadpool(_page, context, t, following, _told(t, error), error.status)
        response = RedirectResponse(following, 303)
        session = await run_in_threadpool(context.sessions.open, tokens)
        response.set_cookie(COOKIE, session, httponly=True, samesite="lax", secure=secure, path="/")
        for name, value in tokens.devices.items():
            response.set_cookie(
                name, value, max_age=_YEAR, httponly=True, samesite="strict", secure=secure, path="/login"
            )
        return response

    async def logout(request: Request) -> Response:
        await run_in_threadpool(try_close, context.sessions, request.cookies.get(COOKIE))
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE, path="/")
        return response

    async def choose_language(request: Request) -> Response:
        response = RedirectResponse(_safe(request.query_params.get("next", "/")), 303)
        if (chosen := request.query_params.get("to")) in language.NAMES:
            response.set_cookie(
                language.COOKIE, str(chosen), max_age=_YEAR, httponly=True, samesite="lax", secure=secure, path="/"
            )
        return response

    return [
        Route("/login", login, methods=["GET", "POST"]),
        Route("/logout", logout, methods=["GET"]),
        Route("/language", choose_language, methods=["GET"]),
    ]


def _page(context: AppContext, t: Language, following: str, problem: str = "", status: int = 200) -> HTMLResponse:
    try:
        simulated = bool(context.gateway.status()["simulated"])
    except MeteoError as error:
        simulated, problem = False, problem or _told(t, error)
    parts = {
        "banner": f'<p class="demo">{html.escape(t("product.demo_login"))}</p>' if simulated else "",
        "problem": f'<p class="problem" role="alert">{html.escape(problem)}</p>' if problem else "",
        "next": quote(following, safe=""),
        "lang": t.code,
        "languages": " · ".join(
            f'<a href="/language?to={code}&amp;next=%2Flogin" lang="{code}">{name}</a>'
            for code, name in language.NAMES.items()
            if code != t.code
        ),
    }
    template = files("streamlit_app").joinpath("login.html").read_text(encoding="utf-8")

    def filled(found: re.Match[str]) -> str:
        return parts[found[1]] if found[1] in parts else html.escape(t(found[1]))

    return HTMLResponse(re.sub(r"{{([a-z_.]+)}}", filled, template), status)


def _told(t: Language, error: MeteoError) -> str:
    return f"{t.known(f'error.{type(error).__name__}', t('error.MeteoError'))} {error.detail}"


def _language(scope: Scope) -> Language:
    headers = dict(scope["headers"])
    accepted = headers.get(b"accept-language", b"").decode("latin-1")
    return language.preferred(_cookie(scope, language.COOKIE), accepted)


def _safe(path: str) -> str:
    """A path of this console, never another host."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else "/"


def _from_own_page(scope: Scope, own: str | None) -> bool:
    """Browsers say where a request comes from. One with an Origin must come from the console's own, by scheme, host and
    port; a websocket always has one. A request that changes something may not come from another site in any case."""
    headers = Headers(scope=scope)
    expected = own or _origin(str(scope["scheme"]).replace("ws", "http", 1), headers.get("host", ""))
    origins = headers.getlist("origin")
    if any(origin != expected for origin in origins) or len(origins) > 1:
        return False
    if scope["type"] == "websocket":
        return bool(origins)
    reads = scope["method"] in ("GET", "HEAD") and scope["path"] != "/logout"
    return reads or headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


def _origin(scheme: str, host: str) -> str:
    """As browsers write it: without a path and without the port that the scheme has anyway."""
    port = {"http": ":80", "https": ":443"}.get(scheme, "")
    return f"{scheme}://{host.partition('/')[0].removesuffix(port)}".lower()


def _cookie(scope: Scope, wanted: str) -> str | None:
    for name, value in scope["headers"]:
        if name == b"cookie":
            cookie = SimpleCookie(value.decode("latin-1")).get(wanted)
            return cookie.value if cookie else None
    return None
