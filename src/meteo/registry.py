"""The MLflow model registry over its REST API: what is published, which version an alias names, its bundle.

Aliases: `champion` serves, `challenger` was trained last and waits for the gate, `previous` is what a rollback serves.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Engine

from meteo.database import only_one
from meteo.errors import Conflict, InvalidInput, NotFound, Unavailable
from meteo.model import ALWAYS, CARD, Card, Model, UnusableModel

BUNDLE = "model"
CARD_TAG = "card_sha256"
_PROXIED = "mlflow-artifacts:/"
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
_SECONDS = 20.0
_MOST_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Published:
    """A version of the registered model."""

    version: str
    run_id: str
    source: str
    created_at_ms: int
    tags: Mapping[str, str]
    aliases: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The SHA-256 of its card, which holds those of all its files."""
        return self.tags.get(CARD_TAG, "")


@dataclass(frozen=True)
class Registry:
    """The registered model `name` at a tracking server."""

    uri: str
    name: str
    _client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=_SECONDS, trust_env=False), repr=False)

    def close(self) -> None:
        """Let its connections go."""
        self._client.close()

    def find(self, alias: str) -> Published | None:
        """The version an alias names; None where nothing bears it yet. Unavailable when MLflow does not answer."""
        found = self._call("GET", "registered-models/alias", params={"name": self.name, "alias": alias})
        return None if found is None else _published(found["model_version"])

    def get(self, version: str) -> Published:
        """One version; InvalidInput when there is none of that number."""
        found = self._call("GET", "model-versions/get", params={"name": self.name, "version": version})
        if found is None:
            raise InvalidInput(f"model: there is no version {version}", [("model", "no such version")])
        return _published(found["model_version"])

    def versions(self) -> list[Published]:
        """All versions with their aliases, newest first."""
        model = self._call("GET", "registered-models/get", params={"name": self.name})
        if model is None:
            return []
        named: dict[str, list[str]] = {}
        for alias in model["registered_model"].get("aliases", []):
            named.setdefault(alias["version"], []).append(alias["alias"])
        found: list[Published] = []
        page = {"filter": f"name='{self.name}'", "max_results": "200"}
        while True:
            answer = self._call("GET", "model-versions/search", params=page) or {}
            found += [_published(entry, named) for entry in answer.get("model_versions", [])]
            if not answer.get("next_page_token"):
                return sorted(found, key=lambda entry: int(entry.version), reverse=True)
            page["page_token"] = answer["next_page_token"]

    def version_of(self, alias: str) -> str | None:
        found = self.find(alias)
        return found.version if found else None

    def require(self, alias: str) -> Published:
        """The version an alias names; NotFound where nothing bears it yet."""
        found = self.find(alias)
        if found is None:
            raise NotFound(f"no version of {self.name} is {alias} yet")
        return found

    def point(self, alias: str, version: str) -> None:
        """Have `alias` name `version`."""
        body = {"name": self.name, "alias": alias, "version": version}
        if self._call("POST", "registered-models/alias", json=body) is None:
            raise InvalidInput(f"model: there is no version {version}", [("model", "no such version")])

    def download(self, published: Published, folder: Path) -> None:
        """Write the bundle's files into `folder`; UnusableModel when its card is not the one that was registered."""
        card = self._artifact(published, CARD)
        if hashlib.sha256(card).hexdigest() != published.digest:
            raise UnusableModel(f"model version {published.version}: its card is not the one that was registered")
        try:
            names = Card.model_validate_json(card).digests
        except ValueError as error:
            raise UnusableModel(f"model version {published.version} cannot be read: {error}") from error
        for name in dict.fromkeys((*ALWAYS, *names)):
            (folder / Path(name).name).write_bytes(self._artifact(published, name))
        (folder / CARD).write_bytes(card)

    def load(self, published: Published, folder: Path) -> Model:
        """Download a version into `folder` and load it there."""
        self.download(published, folder)
        return Model.load(folder, published.version)

    def _artifact(self, published: Published, name: str) -> bytes:
        if not published.source.startswith(_PROXIED):
            raise UnusableModel(f"model version {published.version} lies at {published.source}, not behind MLflow")
        path = f"{published.source.removeprefix(_PROXIED).strip('/')}/{name}"
        try:
            with self._client.stream("GET", f"{self.uri}/api/2.0/mlflow-artifacts/artifacts/{path}") as answer:
                if answer.status_code != 200:
                    raise UnusableModel(
                        f"model version {published.version}: {name} cannot be had: {answer.status_code} from MLflow"
                    )
                content = bytearray()
                for chunk in answer.iter_bytes():
                    content += chunk
                    if len(content) > _MOST_BYTES:
                        raise UnusableModel(f"model version {published.version}: {name} is too large")
                return bytes(content)
        except httpx.HTTPError as error:
            raise Unavailable(
                f"version {published.version} cannot be had from the model registry: {type(error).__name__}"
            ) from error

    def _call(self, method: str, path: str, **given: Any) -> dict[str, Any] | None:
        """MLflow's answer; None where it knows no such thing."""
        try:
            answer = self._client.request(method, f"{self.uri}/api/2.0/mlflow/{path}", **given)
            body: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable("the model registry does not answer") from error
        if answer.status_code == 200:
            return body
        code = body.get("error_code") if isinstance(body, dict) else None
        if code in _ABSENT:
            return None
        raise Unavailable(f"the model registry failed: {code or answer.status_code}")


@dataclass(frozen=True)
class Promotions:
    """Moves the champion. Aliases know no compare-and-set, so one mover at a time, by a lock in the database."""

    registry: Registry
    engine: Engine

    def promote(self, version: str, expected: str | None = None) -> str | None:
        """Make `version` the champion and what was champion `previous`; the old champion.

        Conflict when another promotion goes on, or the champion is not the `expected` version any more.
        """
        with only_one(self.engine, "promotion"):
            self.registry.get(version)
            champion = self.registry.version_of("champion")
            if expected is not None and champion != expected:
                raise Conflict(f"the champion is version {champion or 'none'} by now, not {expected}")
            if champion not in (None, version):
                self.registry.point("previous", str(champion))
            self.registry.point("champion", version)
            return champion

    def rollback(self) -> tuple[str, str]:
        """Make `previous` the champion again and the champion `previous`; (old, new). Conflict where there is none."""
        with only_one(self.engine, "promotion"):
            champion, previous = self.registry.version_of("champion"), self.registry.version_of("previous")
            if champion is None or previous is None or previous == champion:
                raise Conflict("there is no previous version to go back to")
            self.registry.point("champion", previous)
            self.registry.point("previous", champion)
            return champion, previous


def _published(entry: Mapping[str, Any], named: Mapping[str, list[str]] | None = None) -> Published:
    aliases = (named or {}).get(entry["version"], entry.get("aliases", []))
    return Published(
        version=str(entry["version"]),
        run_id=entry.get("run_id", ""),
        source=entry["source"],
        created_at_ms=int(entry["creation_timestamp"]),
        tags={tag["key"]: tag.get("value", "") for tag in entry.get("tags", [])},
        aliases=tuple(sorted(aliases)),
    )
