"""The MLflow model registry: publish a version, move aliases, load what an alias names.

Aliases: `champion` serves, `challenger` was trained last and waits for the gate, `previous` is what a rollback serves.
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from requests.exceptions import RequestException

from meteo.errors import InvalidInput, NotFound, Unavailable
from meteo.model import Model

BUNDLE = "model"
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")

os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


@dataclass(frozen=True)
class Registry:
    """The registered model `name` at a tracking server."""

    uri: str
    name: str

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.uri, self.uri)

    def register(self, run_id: str, tags: Mapping[str, str]) -> str:
        """Make the bundle logged by a run a new version and the challenger; its version number."""
        client = self.client
        try:
            client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source = f"{client.get_run(run_id).info.artifact_uri}/{BUNDLE}"
        version = str(client.create_model_version(self.name, source, run_id, tags=dict(tags)).version)
        client.set_registered_model_alias(self.name, "challenger", version)
        return version

    def version_of(self, alias: str) -> str | None:
        """The version an alias names; None where nothing bears it yet. Unavailable when MLflow does not answer."""
        try:
            return str(self.client.get_model_version_by_alias(self.name, alias).version)
        except RequestException as error:
            raise Unavailable(f"the model registry at {self.uri} does not answer") from error
        except MlflowException as error:
            if error.error_code in _ABSENT:
                return None
            raise Unavailable(f"the model registry at {self.uri} failed: {error.error_code}") from error

    def promote(self, version: str) -> None:
        """Make `version` the champion and what was champion `previous`."""
        champion = self.version_of("champion")
        if champion == version:
            return
        if champion is not None:
            self.client.set_registered_model_alias(self.name, "previous", champion)
        self.client.set_registered_model_alias(self.name, "champion", version)

    def load(self, alias: str) -> Model:
        """The model an alias names; NotFound, Unavailable or UnusableModel say why not."""
        version = self.version_of(alias)
        if version is None:
            raise NotFound(f"no version of {self.name} is {alias} yet")
        return self.load_version(version)

    def load_version(self, version: str) -> Model:
        """Download one version's bundle and load it."""
        try:
            run_id = str(self.client.get_model_version(self.name, version).run_id)
            with tempfile.TemporaryDirectory() as folder:
                self.client.download_artifacts(run_id, BUNDLE, folder)
                return Model.load(Path(folder) / BUNDLE, version)
        except MlflowException as error:
            if error.error_code in _ABSENT:
                raise InvalidInput(f"model: there is no version {version}", [("model", "no such version")]) from error
            raise Unavailable(f"version {version} cannot be had from the model registry: {error}") from error
        except RequestException as error:
            raise Unavailable(f"version {version} cannot be had from the model registry: {error}") from error
