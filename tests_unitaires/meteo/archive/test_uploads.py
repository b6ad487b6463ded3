from collections.abc import Iterator

import pytest

from meteo.archive import uploads
from meteo.archive.store import ObservationStore
from meteo.archive.uploads import MOST_BYTES, Uploads
from meteo.errors import InvalidInput
from meteo.runtime.database import connected


@pytest.fixture
def waiting_room(database: str) -> Iterator[Uploads]:
    with connected(database) as engine:
        store = ObservationStore(engine)
        store.create()
        yield store.uploads


def test_files_wait_in_the_order_in_which_they_came_until_they_are_read(waiting_room: Uploads) -> None:
    first = waiting_room.put("IDCJDW2124.202611.csv", b"a\x00b", "root")
    second = waiting_room.put("IDCJDW2124.202612.csv", b"c", "root")
    assert waiting_room.waiting() == [first, second]
    assert waiting_room.content(first) == b"a\x00b"
    waiting_room.read(first)
    assert waiting_room.waiting() == [second]
    assert waiting_room.content(first) == b"", "the landing has its bytes"


@pytest.mark.parametrize("content", [b"", b"x" * (MOST_BYTES + 1)], ids=["empty", "too large"])
def test_a_file_of_no_or_too_many_bytes_is_refused(waiting_room: Uploads, content: bytes) -> None:
    with pytest.raises(InvalidInput, match="1 to 1,000,000 are taken") as refusal:
        waiting_room.put("x.csv", content, "root")
    assert [field for field, _ in refusal.value.fields] == ["body"]
    waiting_room.put("x.csv", b"x" * MOST_BYTES, "root")


def test_so_many_may_wait_and_no_more(waiting_room: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_WAITING", 2)
    first = waiting_room.put("a.csv", b"a", "root")
    waiting_room.put("b.csv", b"b", "root")
    with pytest.raises(InvalidInput, match="2 files wait to be read"):
        waiting_room.put("c.csv", b"c", "root")
    waiting_room.read(first)
    waiting_room.put("c.csv", b"c", "root")
