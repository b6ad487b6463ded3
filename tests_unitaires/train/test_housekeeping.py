from collections.abc import Mapping

from meteo.models.published import Published
from train.housekeeping import kept


def version(number: int, gate: str, brier: float, *aliases: str) -> Published:
    tags: Mapping[str, str] = {"gate": gate, "brier": f"{brier:.6f}"} if gate else {}
    return Published(str(number), f"run {number}", "mlflow-artifacts:/1", 0, tags, aliases)


VERSIONS = [
    version(9, "", 0), version(8, "refused", 0.1, "challenger"), version(7, "refused", 0.08),
    version(6, "promoted", 0.1, "previous"), version(5, "promoted", 0.1), version(4, "promoted", 0.1),
    version(3, "promoted", 0.09), version(2, "promoted", 0.1, "champion"), version(1, "refused", 0.1),
]  # fmt: skip


def names(champions: int, challengers: int) -> str:
    return " ".join(entry.version for entry in kept(VERSIONS, champions, challengers))


def test_what_an_alias_names_the_newest_and_the_best_champion_stay() -> None:
    assert names(champions=2, challengers=1) == "9 8 6 5 3 2"
    assert names(champions=3, challengers=3) == "9 8 7 6 5 4 3 2"
    assert names(champions=9, challengers=9) == "9 8 7 6 5 4 3 2 1"
    assert kept([], 2, 2) == []
