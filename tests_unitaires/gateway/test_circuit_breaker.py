import pytest

from gateway.circuit_breaker import CircuitBreaker


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def broken(clock: Clock) -> CircuitBreaker:
    breaker = CircuitBreaker(clock)
    for _ in range(CircuitBreaker.FAILURES):
        assert breaker.retry_after() is None
        breaker.record(False)
    return breaker


def test_a_service_that_failed_so_often_is_spared(broken: CircuitBreaker, clock: Clock) -> None:
    assert broken.retry_after() == CircuitBreaker.OPEN_SECONDS
    clock.now += CircuitBreaker.OPEN_SECONDS - 0.1
    assert broken.retry_after() == 1.0, "no shorter wait is worth saying"


@pytest.mark.parametrize(("succeeded", "open_again"), [(True, False), (False, True)])
def test_one_request_is_let_through_then_and_decides(
    broken: CircuitBreaker, clock: Clock, succeeded: bool, open_again: bool
) -> None:
    clock.now += CircuitBreaker.OPEN_SECONDS
    assert broken.retry_after() is None
    assert broken.retry_after() == 1.0, "one is enough"
    broken.record(succeeded)
    assert (broken.retry_after() is not None) is open_again


def test_a_probe_that_is_given_up_makes_way_for_another(broken: CircuitBreaker, clock: Clock) -> None:
    clock.now += CircuitBreaker.OPEN_SECONDS
    assert broken.retry_after() is None
    broken.record(None)
    assert broken.retry_after() is None


def test_failures_count_only_in_a_row(clock: Clock) -> None:
    breaker = CircuitBreaker(clock)
    for succeeded in [False] * (CircuitBreaker.FAILURES - 1) + [True] + [False] * (CircuitBreaker.FAILURES - 1):
        breaker.record(succeeded)
    assert breaker.retry_after() is None
