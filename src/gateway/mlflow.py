"""MLflow's REST API, as much of it as the gateway needs."""

from gateway.upstream import Upstream


class Mlflow:
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def healthy(self) -> str | None:
        """What is wrong, or None."""
        answer = await self._upstream.call("GET", "health")
        return None if answer.status == 200 else f"answered {answer.status}"
