"""A service that has failed again and again is spared for a while."""

import time
from collections.abc import Callable


class CircuitBreaker:
    """Stops asking a service that has failed FAILURES times in a row, for OPEN_SECONDS; then one request is let through
    and its outcome decides for all."""

    FAILURES = 5
    OPEN_SECONDS = 5.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._closed_from = 0.0
        self._probing = False

    def retry_after(self) -> float | None:
        """None when a request may be made (its outcome must be recorded), else how many seconds to wait."""
        if self._failures < self.FAILURES:
            return None
        left = self._closed_from - self._clock()
        if left > 0 or self._probing:
            return max(left, 1.0)
        self._probing = True
        return None

    def record(self, succeeded: bool | None) -> None:
        """What became of a request; None for one that was given up by who asked."""
        self._probing = False
        if succeeded is None:
            return
        self._failures = 0 if succeeded else self._failures + 1
        if self._failures >= self.FAILURES:
            self._closed_from = self._clock() + self.OPEN_SECONDS
