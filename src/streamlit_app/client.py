"""The gateway, as the console speaks to it; the only HTTP client here."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter

from meteo.errors import (
    Conflict,
    InvalidInput,
    MeteoError,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    TooManyRequests,
    Unavailable,
    UpstreamFailed,
)
from meteo.runtime import http_client
from meteo.schemas.forecasts import Prediction
from meteo.schemas.observations import DayBody, StationBody

_ERRORS: dict[int, type[MeteoError]] = {401: NotAuthenticated, 403: NotAllowed, 404: NotFound, 409: Conflict}
_STATIONS = TypeAdapter(list[StationBody])
_DAYS = TypeAdapter(list[DayBody])
_NONE: Mapping[str, str] = {}
_BATCH_SECONDS = 150.0
"""More than the gateway gives a batch of the largest size, so that its word is heard."""
_MOST_BYTES = 200_000_000
"""As much as the gateway passes on."""


@dataclass(frozen=True)
class Tokens:
    """A session at the gateway; `expires_in` is the access token's life in seconds."""

    access: str
    refresh: str
    expires_in: int
    devices: Mapping[str, str] = field(default_factory=dict)
    """After a login: the cookies by which the gateway knows this browser at the next one."""


class Gateway:
    """Each method is one call; errors are the kernel's, with the request id in the sentence. Cookies are the browsers',
    not ours."""

    def __init__(self, address: str, seconds: float = 30.0) -> None:
        self._address = address.rstrip("/")
        self._seconds = seconds

    def log_in(self, username: str, password: str, peer: str = "", devices: Mapping[str, str] = _NONE) -> Tokens:
        """`peer` is who asks, told to the gateway for its count of failed logins; it believes only whom it trusts.
        `devices` are the cookies that earlier logins have left in this browser."""
        form = {"username": username, "password": password}
        headers = {"X-Forwarded-For": peer} if peer else {}
        if devices:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in devices.items())
        return _tokens(self._call("POST", "/token", data=form, headers=headers))

    def refresh(self, refresh_token: str) -> Tokens:
        return _tokens(self._call("POST", "/token/refresh", json={"refresh_token": refresh_token}))

    def log_out(self, access: str) -> None:
        self._call("POST", "/logout", access)

    def me(self, access: str) -> dict[str, Any]:
        """username, role and must_change_password, as they are now."""
        user: dict[str, Any] = self._call("GET", "/me", access).json()
        return user

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self._call("GET", "/status").json()
        return status

    def stations(self, access: str) -> list[StationBody]:
        return _STATIONS.validate_json(self._call("GET", "/stations", access).content)

    def observations(self, access: str, station: str) -> list[DayBody]:
        """The newest stored days, oldest first."""
        return _DAYS.validate_json(self._call("GET", f"/stations/{station}/observations", access).content)

    def predict(self, access: str, body: Mapping[str, Any]) -> Prediction:
        return Prediction.model_validate_json(self._call("POST", "/predict", access, json=body).content)

    def start(self, access: str, dag: str, body: Mapping[str, Any]) -> str:
        """Launch a pipeline; the run's id."""
        run_id: str = self._call("POST", f"/admin/{dag}", access, json=body).json()["run_id"]
        return run_id

    def runs(self, access: str, dag: str, limit: int = 10) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = self._call(
            "GET", "/admin/runs", access, params={"dag": dag, "limit": limit}
        ).json()
        return runs

    def run(self, access: str, dag: str, run_id: str) -> dict[str, Any]:
        run: dict[str, Any] = self._call("GET", f"/admin/runs/{dag}/{run_id}", access).json()
        return run

    def log(self, access: str, dag: str, run_id: str, task: str) -> str:
        return self._call("GET", f"/admin/runs/{dag}/{run_id}/tasks/{task}/log", access).text

    def read(self, access: str, *path: str, **params: Any) -> Any:
        """The answer to a GET."""
        return self._call("GET", _path(path), access, params=params).json()

    def send(self, access: str, method: str, *path: str, body: Any = None) -> Any:
        """Have something changed; the answer, None where there is none."""
        options = {} if body is None else {"json": body}
        answer = self._call(method, _path(path), access, **options)
        return answer.json() if answer.content else None

    def drift_page(self, access: str, report: str, side: str) -> str:
        """Evidently's page, to be shown in a frame without an origin."""
        return self._call("GET", _path(("admin", "drift", report, "report")), access, params={"of": side}).text

    def batch(self, access: str, rows: bytes) -> bytes:
        """A CSV of station-days answered row by row, as CSV."""
        return self._call(
            "POST",
            "/predict/batch",
            access,
            content=rows,
            headers={"Content-Type": "text/csv", "Accept": "text/csv"},
            seconds=_BATCH_SECONDS,
        ).content

    def hand_in(self, access: str, name: str, content: bytes) -> None:
        """One of BOM's month files, for the next ingestion of source upload."""
        self._call(
            "POST",
            "/admin/uploads",
            access,
            params={"name": name},
            content=content,
            headers={"Content-Type": "text/csv"},
        )

    def _call(
        self, method: str, path: str, access: str = "", seconds: float | None = None, **options: Any
    ) -> httpx.Response:
        name = uuid.uuid4().hex
        headers = {"X-Request-ID": name} | options.pop("headers", {})
        if access:
            headers["Authorization"] = f"Bearer {access}"
        try:
            answer = http_client.send(
                method, self._address + path, seconds or self._seconds, _MOST_BYTES, headers=headers, **options
            )
        except httpx.HTTPError as error:
            raise Unavailable(f"the gateway does not answer (request {name})") from error
        if answer.is_success:
            return answer
        raise _error(answer)


def _path(parts: tuple[str, ...]) -> str:
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def _tokens(answer: httpx.Response) -> Tokens:
    body = answer.json()
    return Tokens(body["access_token"], body["refresh_token"], body["expires_in"], dict(answer.cookies))


def _error(answer: httpx.Response) -> MeteoError:
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        return UpstreamFailed(f"the gateway answered {answer.status_code} in no form we know")
    body = answer.json()
    detail = f"{body['detail']} (request {body['request_id']})"
    if answer.status_code == 422:
        return InvalidInput(detail, [(entry["field"], entry["message"]) for entry in body.get("errors", [])])
    wait = int(answer.headers.get("Retry-After", "5"))
    if answer.status_code == 503:
        return Unavailable(detail, wait)
    if answer.status_code == 429:
        return TooManyRequests(detail, wait, int(answer.headers.get("RateLimit-Limit", "0")))
    return _ERRORS.get(answer.status_code, UpstreamFailed)(detail)
