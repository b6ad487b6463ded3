"""Those who use the product for a year: one asks for forecasts, an admin looks after it, one comes by the console."""

import json
import sys
import time
from typing import Any, Self

import httpx
import numpy as np
from journey import Login
from machine import Machine

SINGLE = 20
BATCH = 245
"""Of a day's questions so many are asked one by one, the others in batches."""
PLACES = 14
"""People ask about so many stations in a day."""
USER_PAGES = (
    "/stations", "/stations/Sydney/observations", "/forecast", "/predictions", "/predictions?limit=500", "/model",
)  # fmt: skip
ADMIN_PAGES = (
    "/predictions?limit=500", "/admin/quality", "/admin/quality?by=station", "/admin/drift", "/admin/drift?limit=200",
    "/admin/drift/{drift}", "/admin/drift/{drawn}/report", "/admin/models", "/admin/models/{model}",
    "/admin/ingestions", "/admin/quarantine", "/admin/data-quality", "/admin/audit", "/admin/audit?limit=1000",
    "/admin/users",
)  # fmt: skip


class People:
    """Logged in, and again when their sessions have ended."""

    def __init__(self, machine: Machine) -> None:
        self._logins = json.loads((machine.home.folder / "credentials.json").read_text(encoding="utf-8"))
        self._console = machine.settings.console.address
        self.user, self.admin = (
            httpx.Client(
                base_url=machine.settings.gateway.address, auth=Login(self._logins[role]), timeout=120, trust_env=False
            )
            for role in ("user", "admin")
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in (self.user, self.admin):
            client.close()

    def read(self, client: httpx.Client, path: str) -> Any:
        return client.get(path).raise_for_status().json()

    def ask(self, count: int, dice: np.random.Generator) -> None:
        """Ask for so many forecasts, with some stations' newest days, of which a question leaves some fields out."""
        newest = []
        known = [place for place in self.read(self.user, "/stations") if place["latest"] is not None]
        for place in dice.choice(known, min(PLACES, len(known)), replace=False):
            day = self.read(self.user, f"/stations/{place['name']}/observations")[-1]
            given = {name: value for name, value in day["observation"].items() if value is not None}
            newest.append((place["name"], day["date"], given))
        rows = [
            {"station": name, "date": day, "observation": {key: given[key] for key in given if dice.random() < 0.9}}
            for name, day, given in (newest[number % len(newest)] for number in range(count))
        ]
        for row in rows[:SINGLE]:
            self.user.post("/predict", json=row).raise_for_status()
        for start in range(SINGLE, count, BATCH):
            answers = self.user.post("/predict/batch", json=rows[start : start + BATCH]).raise_for_status().json()
            if refused := [answer for answer in answers if "probability" not in answer]:
                sys.exit(f"the gateway refused {len(refused)} of {len(answers)} rows, the first: {refused[0]}")

    def log_in_at_console(self) -> None:
        answer = httpx.post(f"{self._console}/login", data=self._logins["user"], trust_env=False, timeout=60)
        if answer.status_code != 303:
            sys.exit(f"the console answered a login by {answer.status_code}")

    def read_pages(self) -> dict[str, float]:
        """How long each page took, ms."""
        looks = [look["id"] for look in self.read(self.admin, "/admin/drift?limit=60")]
        drawn = (look for look in looks if self.admin.get(f"/admin/drift/{look}/report").status_code == 200)
        names = {
            "drift": looks[0],
            "drawn": next(drawn, ""),
            "model": self.read(self.admin, "/admin/models")[0]["version"],
        }
        found = {}
        for role, client, pages in (("user", self.user, USER_PAGES), ("admin", self.admin, ADMIN_PAGES)):
            for page in pages:
                if "{drawn}" in page and not names["drawn"]:
                    continue
                began = time.monotonic()
                client.get(page.format(**names)).raise_for_status()
                found[f"{role} {page}"] = round(1000 * (time.monotonic() - began), 1)
        return found
