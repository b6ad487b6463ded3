import threading
import time

import pytest

from meteo.errors import Unavailable
from meteo.runtime import threads
from meteo.runtime.threads import Threads


def test_more_work_waits_as_long_as_some_gets_done() -> None:
    with Threads(2, "busy") as some:
        done = [some.submit(time.sleep, 0.01) for _ in range(20)]
        assert [one.result(timeout=10) for one in done] == [None] * 20


def test_where_nothing_gets_done_more_is_refused_and_taken_again_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "STUCK_SECONDS", 0.05)
    let_go = threading.Event()
    with Threads(2, "stuck") as some:
        held = [some.submit(let_go.wait, 30) for _ in range(2)]
        time.sleep(0.1)
        with pytest.raises(Unavailable, match=r"all that could do this are waiting \(stuck\)"):
            some.submit(print)
        let_go.set()
        assert [one.result(timeout=10) for one in held] == [True, True]
        assert some.submit(int, "7").result(timeout=10) == 7
