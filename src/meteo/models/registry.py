"""The MLflow model registry over its REST API: what is published, which version an alias names, its bundle.

Aliases: `champion` serves, `challenger` was trained last and waits for the gate, `previous` is what a rollback serves,
`best` is the champion with the lowest Brier score so far, which later ones are held against.
"""

import hashlib
import hmac
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx

from meteo.errors import InvalidInput, NotFound, Unavailable, UpstreamFailed
from meteo.features.climatology import Climate
from meteo.models.bundle import ALWAYS, Model
from meteo.models.card import CARD, CLIMATE, Card, UnusableModel
from meteo.models.published import Failure, Found, Page, Published, Registered
from meteo.runtime import http_client
from meteo.runtime.answers import checked, parsed
from meteo.runtime.settings import MLFLOW_USER, Settings

MLFLOW = "the model registry"
BUNDLE = "model"
_PROXIED = "mlflow-artifacts:/"
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
_MOST_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Registry:
    """The registered model `name` at a tracking server. Cards are signed with `key`, which the server does not have:
    who can write to it alone cannot have a model served."""

    uri: str
    name: str
    key: str = field(default="", repr=False)
    seconds: float = 20.0
    """What a call may take; a model's file, ten times that."""
    password: str = field(default="", repr=False)
    """Never part of `uri`, which clients repeat in their errors."""

    @classmethod
    def of(cls, settings: Settings, seconds: float = 20.0) -> Self:
        """That of the settings; InvalidInput where the key is missing there."""
        key = settings.secret(settings.models_secret, "METEO_MODELS_SECRET")
        password = settings.mlflow.password.get_secret_value()
        return cls(settings.mlflow.address, settings.train.model_name, key, seconds, password)

    def find(self, alias: str) -> Published | None:
        """The version an alias names; None where nothing bears it yet. Unavailable when MLflow does not answer."""
        answer = self._call("GET", "registered-models/alias", params={"name": self.name, "alias": alias})
        return None if answer is None else checked(MLFLOW, answer, Found).model_version.published()

    def get(self, version: str) -> Published:
        """One version; InvalidInput when there is none of that number."""
        answer = self._call("GET", "model-versions/get", params={"name": self.name, "version": version})
        if answer is None:
            raise InvalidInput(f"model: there is no version {version}", [("model", "no such version")])
        return checked(MLFLOW, answer, Found).model_version.published()

    def versions(self) -> list[Published]:
        """All versions with their aliases, newest first."""
        model = self._call("GET", "registered-models/get", params={"name": self.name})
        if model is None:
            return []
        named: dict[str, list[str]] = {}
        for entry in checked(MLFLOW, model, Registered).registered_model.aliases:
            named.setdefault(entry.version, []).append(entry.alias)
        published: list[Published] = []
        page = {"filter": f"name='{self.name}'", "max_results": "200"}
        while True:
            answer = checked(MLFLOW, self._call("GET", "model-versions/search", params=page) or {}, Page)
            published += [entry.published(named.get(entry.version, ())) for entry in answer.model_versions]
            if not answer.next_page_token:
                return sorted(published, key=lambda entry: int(entry.version), reverse=True)
            if answer.next_page_token == page.get("page_token"):
                raise UpstreamFailed(f"{MLFLOW} does not come to an end of the model's versions")
            page["page_token"] = answer.next_page_token

    def version_of(self, alias: str) -> str | None:
        published = self.find(alias)
        return published.version if published else None

    def require(self, alias: str) -> Published:
        """The version an alias names; NotFound where nothing bears it yet."""
        published = self.find(alias)
        if published is None:
            raise NotFound(f"no version of {self.name} is {alias} yet")
        return published

    def point(self, alias: str, version: str) -> None:
        """Have `alias` name `version`."""
        body = {"name": self.name, "alias": alias, "version": version}
        if self._call("POST", "registered-models/alias", json=body) is None:
            raise InvalidInput(f"model: there is no version {version}", [("model", "no such version")])

    def sign(self, card: bytes) -> str:
        """The signature of a card file: its HMAC-SHA256."""
        if not self.key:
            raise ValueError("cards are signed and verified with METEO_MODELS_SECRET, which is not set")
        return hmac.digest(self.key.encode(), card, "sha256").hex()

    def verify(self, published: Published, card: bytes) -> None:
        """UnusableModel unless this card file of the version was signed with our key."""
        told = f"model version {published.version}: its card is not signed"
        if not published.signature:
            raise UnusableModel(f"{told}; versions from before cards were are not served: train anew")
        if not hmac.compare_digest(self.sign(card).encode(), published.signature.encode()):
            raise UnusableModel(
                f"{told} with this system's key (METEO_MODELS_SECRET): train anew if the key is a new one"
            )

    def download(self, published: Published, folder: Path) -> None:
        """Write the bundle's files into `folder`; UnusableModel when its card is not the one that was registered, or
        not signed by us."""
        written, card = self._card(published)
        for name in dict.fromkeys((*ALWAYS, *card.digests)):
            (folder / Path(name).name).write_bytes(self._artifact(published, name))
        (folder / CARD).write_bytes(written)

    def climate(self, version: str) -> Climate:
        """The climatology that a version learnt with; UnusableModel when it is not what its card says."""
        published = self.get(version)
        _, card = self._card(published)
        text = self._artifact(published, CLIMATE)
        if hashlib.sha256(text).hexdigest() != card.digests.get(CLIMATE):
            raise UnusableModel(f"model version {version}: {CLIMATE} is not the one that was published")
        return Climate.parse(text)

    def load(self, published: Published, folder: Path) -> Model:
        """Download a version into `folder` and load it there."""
        self.download(published, folder)
        return Model.load(folder, published.version)

    def _card(self, published: Published) -> tuple[bytes, Card]:
        """Its card, as written and as read."""
        written = self._artifact(published, CARD)
        self.verify(published, written)
        if hashlib.sha256(written).hexdigest() != published.digest:
            raise UnusableModel(f"model version {published.version}: its card is not the one that was registered")
        try:
            return written, Card.model_validate_json(written)
        except ValueError as error:
            raise UnusableModel(f"model version {published.version} cannot be read: {error}") from error

    def _artifact(self, published: Published, name: str) -> bytes:
        if not published.source.startswith(_PROXIED):
            raise UnusableModel(f"model version {published.version} lies at {published.source}, not behind MLflow")
        path = f"{published.source.removeprefix(_PROXIED).strip('/')}/{name}"
        address = f"{self.uri}/api/2.0/mlflow-artifacts/artifacts/{path}"
        try:
            answer = self._send("GET", address, 10 * self.seconds)
        except httpx.HTTPError as error:
            raise Unavailable(
                f"version {published.version} cannot be had from the model registry: {type(error).__name__}"
            ) from error
        if answer.status_code != 200:
            raise UnusableModel(
                f"model version {published.version}: {name} cannot be had: {answer.status_code} from MLflow"
            )
        return answer.content

    def _call(self, method: str, path: str, **given: Any) -> dict[str, Any] | None:
        """MLflow's answer; None where it knows no such thing. Unavailable when it fails."""
        try:
            answer = self._send(method, f"{self.uri}/api/2.0/mlflow/{path}", self.seconds, **given)
        except httpx.HTTPError as error:
            raise Unavailable(f"{MLFLOW} does not answer") from error
        if answer.status_code == 200:
            return parsed(MLFLOW, answer.content, dict[str, Any])
        code = ""
        with suppress(UpstreamFailed):  # what is in front of MLflow may fail, too, in words of its own
            code = parsed(MLFLOW, answer.content, Failure).error_code
        if code in _ABSENT:
            return None
        raise Unavailable(f"{MLFLOW} failed: it answered {answer.status_code}")

    def _send(self, method: str, address: str, seconds: float, **given: Any) -> httpx.Response:
        auth = httpx.BasicAuth(MLFLOW_USER, self.password) if self.password else None
        return http_client.send(method, address, seconds, _MOST_BYTES, auth=auth, **given)
