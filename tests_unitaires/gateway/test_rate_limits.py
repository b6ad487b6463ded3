import asyncio

import pytest

from gateway.rate_limits import Limiter, Rates
from gateway.users import User
from meteo.errors import TooManyRequests, Unavailable

ANN, ROOT = User("ann", "user", True), User("root", "admin", True)


@pytest.fixture
def limiter() -> Limiter:
    return Limiter(
        Rates(user="2/minute", admin="4/minute", failures_per_account="3/5 minutes", failures_per_peer="5/5 minutes")
    )


def test_what_is_left_is_told_with_each_prediction(limiter: Limiter) -> None:
    async def asked() -> list[dict[str, str]]:
        return [await limiter.prediction(User("bob", "user", True), program=False) for _ in range(2)]

    first, second = asyncio.run(asked())
    assert (first["RateLimit-Limit"], first["RateLimit-Remaining"], second["RateLimit-Remaining"]) == ("2", "1", "0")
    assert 0 <= int(first["RateLimit-Reset"]) <= 60


@pytest.mark.parametrize(("user", "program", "allowed"), [(ANN, False, 2), (ROOT, False, 4), (ANN, True, 4)])
def test_users_admins_and_programs_have_their_own_limits(
    limiter: Limiter, user: User, program: bool, allowed: int
) -> None:
    async def ask() -> int:
        asked = 0
        while True:
            await limiter.prediction(user, program)
            asked += 1
            assert asked <= allowed

    with pytest.raises(
        TooManyRequests, match=r"you ask for predictions too often: .* per 1 minute; try again"
    ) as refusal:
        asyncio.run(ask())
    assert refusal.value.limit == allowed
    assert 1 <= refusal.value.retry_after <= 120


def test_one_person_does_not_use_up_anothers_predictions(limiter: Limiter) -> None:
    async def left() -> list[str]:
        people = [User(name, "user", True) for name in ("carol", "carol", "dave", "dave")]
        return [(await limiter.prediction(user, program=False))["RateLimit-Remaining"] for user in people]

    assert asyncio.run(left()) == ["1", "0", "1", "0"]


def test_a_peer_that_failed_too_often_is_refused_whatever_account_it_tries(limiter: Limiter) -> None:
    async def guess() -> None:
        for number in range(6):
            await limiter.attempt(f"account-{number}", "192.0.2.1")
            await limiter.failed("192.0.2.1")

    with pytest.raises(TooManyRequests, match="too many failed logins from your address") as refusal:
        asyncio.run(guess())
    assert refusal.value.limit == 5
    asyncio.run(limiter.attempt("account-9", "192.0.2.2"))


def test_an_account_is_refused_after_its_failures_and_forgets_them_with_a_login(limiter: Limiter) -> None:
    async def guess(times: int) -> None:
        for number in range(times):
            await limiter.attempt("erin", f"198.51.100.{number}")

    asyncio.run(guess(3))
    with pytest.raises(TooManyRequests, match="too many wrong passwords for this account"):
        asyncio.run(guess(1))
    asyncio.run(limiter.succeeded("erin"))
    asyncio.run(guess(3))


def test_one_refusal_a_minute_is_worth_telling(limiter: Limiter) -> None:
    async def told() -> list[bool]:
        return [await limiter.worth_telling(peer) for peer in ("203.0.113.1", "203.0.113.1", "203.0.113.2")]

    assert asyncio.run(told()) == [True, False, True]


def test_where_nobody_can_count_nobody_is_let_through() -> None:
    away = Limiter(Rates("redis://127.0.0.1:1"))
    for question in (away.prediction(ANN, program=False), away.attempt("ann", "192.0.2.1")):
        with pytest.raises(Unavailable, match="the store of rate limits does not answer"):
            asyncio.run(question)


def test_sign_ups_are_counted_by_peer_and_apart_from_failed_logins(limiter: Limiter) -> None:
    async def sign_up(peer: str, times: int) -> None:
        for _ in range(times):
            await limiter.sign_up(peer)

    asyncio.run(sign_up("192.0.2.7", 5))
    with pytest.raises(TooManyRequests, match="too many accounts from your address"):
        asyncio.run(sign_up("192.0.2.7", 1))
    asyncio.run(sign_up("192.0.2.8", 1))
    asyncio.run(limiter.attempt("frank", "192.0.2.7"))


def test_wrong_passwords_of_a_known_session_are_counted_apart(limiter: Limiter) -> None:
    async def guess(session: str | None, times: int) -> None:
        for _ in range(times):
            await limiter.guess("grace", session)

    asyncio.run(guess(None, 3))
    asyncio.run(guess("her own", 3))
    with pytest.raises(TooManyRequests):
        asyncio.run(guess("her own", 1))
    asyncio.run(guess("another of hers", 1))
    asyncio.run(limiter.succeeded("grace", "her own"))
    asyncio.run(guess("her own", 3))
    with pytest.raises(TooManyRequests):
        asyncio.run(guess(None, 1))


def test_programs_do_not_use_up_what_their_owner_may_ask(limiter: Limiter) -> None:
    async def left() -> list[str]:
        ask = (limiter.prediction(User("heidi", "user", True), program) for program in (True, True, False))
        return [(await asked)["RateLimit-Remaining"] for asked in ask]

    assert asyncio.run(left()) == ["3", "2", "1"]


def test_rows_are_counted_by_who_asks_and_refused_before_they_are_scored() -> None:
    limiter = Limiter(Rates(batch_rows_user="10/hour", batch_rows_admin="100/hour"))
    ivan, judy = User("ivan", "user", True), User("judy", "user", True)

    async def asked() -> list[int]:
        await limiter.rows(ivan, program=False, count=7)
        of_all = (ivan, False), (ivan, True), (judy, False)
        return [await limiter.rows_left(user, program) for user, program in of_all]

    assert asyncio.run(asked()) == [3, 100, 10]
    with pytest.raises(TooManyRequests, match="1,000 rows are more than is left to you: 100 per 1 hour") as refusal:
        asyncio.run(limiter.refuse_rows(ivan, program=True, count=1000))
    assert refusal.value.limit == 100


def test_what_counts_in_memory_is_there_and_has_nothing_to_close(limiter: Limiter) -> None:
    assert asyncio.run(limiter.missing()) is None
    asyncio.run(limiter.close())
