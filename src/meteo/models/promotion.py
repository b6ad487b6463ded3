"""Which version serves is changed by one at a time."""

from dataclasses import dataclass

from sqlalchemy import Engine

from meteo.errors import Conflict
from meteo.models.registry import Registry
from meteo.runtime.database import only_one


@dataclass(frozen=True)
class Promotions:
    """Moves the champion. Aliases know no compare-and-set, so one mover at a time, by a lock in the database."""

    registry: Registry
    engine: Engine

    def promote(self, version: str, expected: str | None = None) -> str | None:
        """Make `version` the champion and what was champion `previous`; the old champion.

        Conflict when another promotion goes on, or the champion is not the `expected` version any more.
        """
        with only_one(self.engine, "promotion") as turn:
            self.registry.get(version)
            champion = self.registry.version_of("champion")
            if expected is not None and champion != expected:
                raise Conflict(f"the champion is version {champion or 'none'} by now, not {expected}")
            with turn.kept():
                if champion not in (None, version):
                    self.registry.point("previous", str(champion))
                self.registry.point("champion", version)
            return champion

    def rollback(self) -> tuple[str, str]:
        """Make `previous` the champion again and the champion `previous`; (old, new). Conflict where there is none."""
        with only_one(self.engine, "promotion") as turn:
            champion, previous = self.registry.version_of("champion"), self.registry.version_of("previous")
            if champion is None or previous is None or previous == champion:
                raise Conflict("there is no previous version to go back to")
            with turn.kept():
                self.registry.point("champion", previous)
                self.registry.point("previous", champion)
            return champion, previous
