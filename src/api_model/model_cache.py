"""Published models on this machine's disk: each is downloaded once, tried in a process of its own and then kept.

So the service can start with the last good one while the registry is away.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Protocol

from meteo.errors import MeteoError
from meteo.models.bundle import Model, try_out
from meteo.models.card import CARD, UnusableModel
from meteo.models.published import Published
from meteo.runtime.logs import logger

_KEPT = 4
_SERVED = "served"


class Source(Protocol):
    """Where published models come from (`meteo.models.registry.Registry`)."""

    @property
    def name(self) -> str: ...

    def require(self, alias: str) -> Published: ...

    def get(self, version: str) -> Published: ...

    def verify(self, published: Published, card: bytes) -> None: ...

    def download(self, published: Published, folder: Path) -> None: ...


class ModelCache:
    """Models by version below `folder`."""

    def __init__(self, source: Source, folder: Path) -> None:
        self.source = source
        self._folder = folder

    def load(self, published: Published) -> Model:
        """A model that was tried and whose card is signed; UnusableModel or Unavailable say why there is none."""
        self._folder.mkdir(parents=True, exist_ok=True)
        place = self._folder / f"{published.version}-{published.digest[:16]}"
        if place.is_dir():
            try:
                model = Model.load(place, published.version)
            except UnusableModel as error:
                logger().warning("kept model damaged, fetched anew", reason=error.detail)
                shutil.rmtree(place)
            else:
                self.source.verify(published, (place / CARD).read_bytes())
                return model
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            fresh = Path(folder) / "model"
            fresh.mkdir()
            self.source.download(published, fresh)
            try_out(fresh, published.version)
            for file in fresh.iterdir():
                with file.open("rb") as written:
                    os.fsync(written.fileno())
            fresh.rename(place)
        self._tidy(place)
        return Model.load(place, published.version)

    def served(self, model: Model) -> None:
        """Remember that `model` serves."""
        new = self._folder / f"{_SERVED}.new"
        new.write_text(f"{model.version}-{model.digest[:16]}", encoding="utf-8")
        new.rename(self._folder / _SERVED)

    def last(self) -> Model | None:
        """The model that served last, if it is here and whole."""
        try:
            name = (self._folder / _SERVED).read_text(encoding="utf-8")
        except OSError:
            return None
        try:
            return Model.load(self._folder / Path(name).name, name.partition("-")[0])
        except MeteoError as error:
            logger().warning("the model that served last is damaged", reason=error.detail)
            return None

    def _tidy(self, newest: Path) -> None:
        """Keep the newest few."""
        places = sorted(self._folder.glob(f"*/{CARD}"), key=lambda card: card.stat().st_mtime, reverse=True)
        serving = (self._folder / _SERVED).read_text(encoding="utf-8") if (self._folder / _SERVED).exists() else ""
        for card in places[_KEPT:]:
            if card.parent != newest and card.parent.name != serving:
                shutil.rmtree(card.parent)
