"""How often one may ask and how often fail to log in: in memory, or in Redis where there are several workers."""

import math
import time
from dataclasses import dataclass

from limits import RateLimitItem, parse
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.storage import storage_from_string

from gateway.users import User
from meteo.errors import TooManyRequests, Unavailable

_TOLD = parse("1/minute")


@dataclass(frozen=True)
class Rates:
    """The limits, as "10/minute"; `storage` is "memory://" or "redis://…"."""

    storage: str = "memory://"
    user: str = "10/minute"
    admin: str = "600/minute"
    failures_per_account: str = "10/5 minutes"
    failures_per_peer: str = "40/5 minutes"


class Limiter:
    def __init__(self, rates: Rates) -> None:
        options = {} if rates.storage.startswith("memory") else {"implementation": "redispy"}
        self._limiter = SlidingWindowCounterRateLimiter(storage_from_string(f"async+{rates.storage}", **options))
        self._predictions = {"user": parse(rates.user), "admin": parse(rates.admin)}
        self._account = parse(rates.failures_per_account)
        self._peer = parse(rates.failures_per_peer)

    async def prediction(self, user: User, program: bool) -> dict[str, str]:
        """Count a prediction; the RateLimit headers of the answer. Programs that show an API key may ask as often as
        admins. TooManyRequests says when there is room again."""
        limit = self._predictions["admin" if program or user.role == "admin" else "user"]
        return await self._count(limit, "you ask for predictions too often", "predict", user.username, str(program))

    async def attempt(self, account: str, peer: str) -> None:
        """Before a login: TooManyRequests where the account, or the peer whatever account it tries, has failed too
        often. The account's attempt counts as failed until `succeeded` says otherwise: many at once are not free."""
        try:
            allowed = await self._limiter.test(self._peer, "login", peer)
        except Exception as error:
            raise _closed(error) from error
        if not allowed:
            await self._refuse(self._peer, "too many failed logins from your address", "login", peer)
        await self._count(self._account, "too many failed logins to this account", "login", account)

    async def worth_telling(self, peer: str) -> bool:
        """Whether a refusal of `peer` is to be told in the audit: one a minute is, or its many would fill the disk."""
        return await self._limiter.hit(_TOLD, "told", peer)

    async def failed(self, peer: str) -> None:
        """A login from `peer` was refused."""
        await self._limiter.hit(self._peer, "login", peer)

    async def succeeded(self, account: str) -> None:
        """A login to `account` was right: its failures are forgotten."""
        await self._limiter.clear(self._account, "login", account)

    async def _count(self, limit: RateLimitItem, sentence: str, *key: str) -> dict[str, str]:
        try:
            allowed = await self._limiter.hit(limit, *key)
            state = await self._limiter.get_window_stats(limit, *key)
        except Exception as error:
            raise _closed(error) from error
        if not allowed:
            await self._refuse(limit, sentence, *key)
        return {
            "RateLimit-Limit": str(limit.amount), "RateLimit-Remaining": str(state.remaining),
            "RateLimit-Reset": str(max(0, math.ceil(state.reset_time - time.time()))),
        }  # fmt: skip

    async def _refuse(self, limit: RateLimitItem, sentence: str, *key: str) -> None:
        state = await self._limiter.get_window_stats(limit, *key)
        wait = max(1, math.ceil(state.reset_time - time.time()))
        raise TooManyRequests(f"{sentence}: {limit}; try again in {wait} s", wait, limit.amount)


def _closed(error: Exception) -> Unavailable:
    """Where nobody can count, nobody is let through."""
    return Unavailable(f"the store of rate limits does not answer: {type(error).__name__}")
