"""How often one may ask and how often fail to log in: in memory, or in Redis where there are several workers."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from limits import RateLimitItem, parse
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.storage import storage_from_string
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from gateway.users import User
from meteo.errors import TooManyRequests, Unavailable

_TOLD = parse("1/minute")
_SENTENCE = "the store of rate limits does not answer"
REDIS_SECONDS = 1.5


@dataclass(frozen=True)
class Rates:
    """The limits, as "10/minute"; `storage` is "memory://" or "redis://…"."""

    storage: str = "memory://"
    user: str = "10/minute"
    admin: str = "600/minute"
    failures_per_account: str = "10/5 minutes"
    failures_per_peer: str = "40/5 minutes"
    batch_rows_user: str = "200000/hour"
    batch_rows_admin: str = "5000000/hour"


class Limiter:
    def __init__(self, rates: Rates) -> None:
        options: dict[str, Any] = (
            {}
            if rates.storage.startswith("memory")
            else {
                "implementation": "redispy",
                "socket_timeout": REDIS_SECONDS,
                "socket_connect_timeout": REDIS_SECONDS,
                "retry": Retry(NoBackoff(), 1),
            }
        )
        self._storage: Any = storage_from_string(f"async+{rates.storage}", **options)
        self._limiter = SlidingWindowCounterRateLimiter(self._storage)
        self._predictions = {"user": parse(rates.user), "admin": parse(rates.admin)}
        self._rows = {"user": parse(rates.batch_rows_user), "admin": parse(rates.batch_rows_admin)}
        self._account = parse(rates.failures_per_account)
        self._peer = parse(rates.failures_per_peer)

    async def prediction(self, user: User, program: bool) -> dict[str, str]:
        """Count a prediction; the RateLimit headers of the answer. Programs that show an API key may ask as often as
        admins. TooManyRequests says when there is room again."""
        limit = self._predictions[_kind(user, program)]
        return await self._count(limit, "you ask for predictions too often", "predict", user.username, str(program))

    async def rows(self, user: User, program: bool, count: int) -> dict[str, str]:
        """The same for the rows of a batch, which are counted all or none."""
        limit = self._rows[_kind(user, program)]
        return await self._count(limit, _too_many(count), *_rows(user, program), cost=count)

    async def rows_left(self, user: User, program: bool) -> int:
        """How many rows are left."""
        async with _counting():
            state = await self._limiter.get_window_stats(self._rows[_kind(user, program)], *_rows(user, program))
        return state.remaining

    async def refuse_rows(self, user: User, program: bool, count: int) -> NoReturn:
        """TooManyRequests for that many rows."""
        await self._refuse(self._rows[_kind(user, program)], _too_many(count), *_rows(user, program))

    async def attempt(self, account: str, peer: str, session: str | None = None) -> None:
        """Before a login: TooManyRequests where `guess` says so, or where the peer, whatever account it tries, has
        failed too often."""
        async with _counting():
            allowed = await self._limiter.test(self._peer, "login", peer)
        if not allowed:
            await self._refuse(self._peer, "too many failed logins from your address", "login", peer)
        await self.guess(account, session)

    async def guess(self, account: str, session: str | None = None) -> None:
        """Before a password is held against an account's: TooManyRequests after too many wrong ones. Who can name a
        `session` of that account's is counted by it, apart from those who cannot. The guess counts as wrong until
        `succeeded` says otherwise: many at once are not free."""
        await self._count(self._account, "too many wrong passwords for this account", *_guesser(account, session))

    @asynccontextmanager
    async def judging(self, account: str, session: str | None = None) -> AsyncIterator[None]:
        """Around what finds out whether a counted guess is right: where that fails, it was none."""
        try:
            yield
        except Exception:
            with suppress(Unavailable):
                async with _counting():
                    await self._limiter.hit(self._account, *_guesser(account, session), cost=-1)
            raise

    async def sign_up(self, peer: str) -> None:
        """Count a registration: TooManyRequests after as many from `peer` as it may fail to log in."""
        await self._count(self._peer, "too many accounts from your address", "register", peer)

    async def worth_telling(self, peer: str) -> bool:
        """Whether a refusal of `peer` is to be told in the audit: one a minute is, or its many would fill the disk."""
        async with _counting():
            return await self._limiter.hit(_TOLD, "told", peer)

    async def failed(self, peer: str) -> None:
        """A login from `peer` was refused."""
        async with _counting():
            await self._limiter.hit(self._peer, "login", peer)

    async def succeeded(self, account: str, session: str | None = None) -> None:
        """The password was right: those that were wrong before are forgotten, of the same count."""
        async with _counting():
            await self._limiter.clear(self._account, *_guesser(account, session))

    async def close(self) -> None:
        """Let the connections to Redis go."""
        if (bridge := getattr(self._storage, "bridge", None)) is not None:
            await bridge.get_connection().aclose()

    async def missing(self) -> str | None:
        """That the store of rates does not answer, said soon; None where it does."""
        try:
            async with _counting():
                return None if await self._storage.check() else _SENTENCE
        except Unavailable as error:
            return error.detail

    async def _count(self, limit: RateLimitItem, sentence: str, *key: str, cost: int = 1) -> dict[str, str]:
        async with _counting():
            allowed = await self._limiter.hit(limit, *key, cost=cost)
            state = await self._limiter.get_window_stats(limit, *key)
        if not allowed:
            await self._refuse(limit, sentence, *key)
        return {
            "RateLimit-Limit": str(limit.amount),
            "RateLimit-Remaining": str(state.remaining),
            "RateLimit-Reset": str(max(0, math.ceil(state.reset_time - time.time()))),
        }

    async def _refuse(self, limit: RateLimitItem, sentence: str, *key: str) -> NoReturn:
        async with _counting():
            state = await self._limiter.get_window_stats(limit, *key)
        wait = max(1, math.ceil(state.reset_time - time.time()))
        raise TooManyRequests(f"{sentence}: {limit}; try again in {wait} s", wait, limit.amount)


def _rows(user: User, program: bool) -> tuple[str, str, str]:
    return "rows", user.username, str(program)


def _too_many(rows: int) -> str:
    return f"{rows:,} rows are more than is left to you"


def _guesser(account: str, session: str | None) -> tuple[str, str]:
    return ("login", account) if session is None else ("session", session)


def _kind(user: User, program: bool) -> str:
    return "admin" if program or user.role == "admin" else "user"


@asynccontextmanager
async def _counting() -> AsyncIterator[None]:
    """Where nobody can count, nobody is let through: Unavailable when the store fails or takes long."""
    try:
        async with asyncio.timeout(REDIS_SECONDS):
            yield
    except Exception as error:
        raise Unavailable(f"{_SENTENCE}: {type(error).__name__}") from error
