"""What serves, and how that changes: the champion is followed, versions are promoted and rolled back."""

import asyncio
import ctypes
import gc
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from sqlalchemy import Engine

from api_model.metrics import ModelMetrics
from api_model.predictor import Predictor
from meteo.errors import MeteoError
from meteo.models.bundle import Model
from meteo.models.promotion import Promotions
from meteo.models.registry import Registry
from meteo.runtime.threads import Threads
from meteo.schemas.models import Champion

Result = TypeVar("Result")
LARGE_BYTES = 1_000_000
_LOADING_THREADS = 4
_M_MMAP_THRESHOLD = -3


class Serving:
    """The predictor's model and the registry it comes from; promotions take turns by the database of `engine`."""

    def __init__(self, predictor: Predictor, registry: Registry, engine: Engine, metrics: ModelMetrics) -> None:
        self.predictor = predictor
        self.registry = registry
        self._promotions = Promotions(registry, engine)
        self._metrics = metrics
        self._loading = Threads(_LOADING_THREADS, "models")

    async def in_turn(self, work: Callable[..., Result], *given: Any) -> Result:
        """Work in threads apart: the registry may take long, which predictions need not wait for."""
        return await asyncio.get_running_loop().run_in_executor(self._loading, work, *given)

    def resume(self) -> None:
        """Serve what served last on this machine, until the registry is asked."""
        self.predictor.resume()
        if self.predictor.loaded:
            self._metrics.serving(self.registry.name, self.predictor.model)

    def reload(self) -> None:
        """Serve the champion; MeteoError where it cannot be had, and what served serves on."""
        try:
            self._metrics.serving(self.registry.name, self.predictor.reload())
        except MeteoError:
            self._metrics.reload_failed()
            raise

    def promote(self, version: str, expected: str | None) -> Champion:
        """Make a version the champion, once it was loaded, and serve it."""
        self.predictor.chosen(version)
        previous = self._promotions.promote(version, expected)
        self.reload()
        return Champion(version=version, previous=previous)

    def rollback(self) -> Champion:
        """Serve the champion before this one again."""
        old, new = self._promotions.rollback()
        self.reload()
        return Champion(version=new, previous=old)

    async def follow_champion(self, poll_seconds: float) -> None:
        """Ask the registry again and again, until cancelled."""
        settled = False
        while True:
            with suppress(MeteoError):  # said by the predictor, which serves on
                await self.in_turn(self.reload)
            if self.predictor.loaded and not settled:
                settled = True
                await asyncio.to_thread(self.predictor.warm)
                _settle()
            await asyncio.sleep(poll_seconds)

    def card(self) -> dict[str, Any]:
        """The served model's card, and what keeps the champion from being served, if anything does."""
        model = self.predictor.model
        return {
            "name": self.registry.name,
            "version": model.version,
            "problem": self.predictor.problem,
            **public_card(model),
        }


def public_card(model: Model) -> dict[str, Any]:
    """A model's card without the digests of its files."""
    return model.card.model_dump(mode="json", exclude={"digests"})


def _settle() -> None:
    """Once started: give back the memory that starting took, have garbage collections pass over what will live long,
    which would stall answers by tens of milliseconds, and have the memory of large bodies given back when they end."""
    gc.collect()
    gc.freeze()
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):  # where the C library is glibc
        library.mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
        library.malloc_trim(0)
