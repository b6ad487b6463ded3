from datetime import date
from pathlib import Path

import httpx
import pytest

from ingest.sources import BomSource, FileSource, Missing, RawFile, months_before, months_between
from meteo.errors import InvalidInput, Unavailable
from meteo.station import station

SYDNEY, PERTH = station("Sydney"), station("Perth")


def bom(status: int | httpx.HTTPError, content: bytes = b"data") -> tuple[BomSource, list[str], list[float]]:
    asked: list[str] = []
    pauses: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if isinstance(status, httpx.HTTPError):
            raise status
        return httpx.Response(status, content=content)

    client = httpx.Client(base_url="http://bom", transport=httpx.MockTransport(answer))
    months = [date(2024, 1, 1), date(2024, 2, 1)]
    return BomSource(client, [SYDNEY, PERTH], months, 2.5, pauses.append), asked, pauses


def test_month_files_are_asked_for_one_by_one_with_a_pause_between() -> None:
    source, asked, pauses = bom(200)
    files = list(source.files())
    assert asked[0] == "/climate/dwo/202401/text/IDCJDW2124.202401.csv"
    assert asked[3] == f"/climate/dwo/202402/text/{PERTH.bom_product}.202402.csv"
    assert len(files) == source.total == 4
    assert files[0] == RawFile("IDCJDW2124.202401.csv", b"data", "IDCJDW2124")
    assert pauses == [2.5, 2.5, 2.5]


def test_a_file_that_is_not_there_is_missing_and_the_others_go_on() -> None:
    source, asked, _ = bom(404)
    assert all(isinstance(found, Missing) and "404" in found.reason for found in source.files())
    assert len(asked) == 4


def test_a_refusal_is_explained_with_what_to_do_instead() -> None:
    source, asked, _ = bom(403)
    with pytest.raises(Unavailable, match=r"403.*download the month files in a browser.*--source file"):
        list(source.files())
    assert len(asked) == 1


@pytest.mark.parametrize("trouble", [500, 302, httpx.ConnectError("refused"), httpx.ReadTimeout("slow")])
def test_a_server_in_trouble_is_said_to_be(trouble: int | httpx.HTTPError) -> None:
    with pytest.raises(Unavailable, match=r"IDCJDW2124\.202401\.csv"):
        list(bom(trouble)[0].files())


def test_files_and_folders_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    for name in ("b.csv", "a.csv.gz", "deep/c.csv", "notes.txt"):
        (tmp_path / "folder" / name).write_bytes(name.encode())
    (tmp_path / "single.dat").write_bytes(b"x")
    source = FileSource([tmp_path / "folder", tmp_path / "single.dat"])
    assert [found.name for found in source.files()] == ["a.csv.gz", "b.csv", "c.csv", "single.dat"]
    assert source.total == 4


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="does not exist"):
        FileSource([tmp_path / "nowhere"])
    with pytest.raises(InvalidInput, match="needs --path"):
        FileSource([])


def test_months_are_counted_over_the_turn_of_the_year() -> None:
    assert months_before(date(2024, 1, 31), 1) == date(2023, 12, 1)
    assert months_before(date(2024, 3, 15), 15) == date(2022, 12, 1)
    assert months_between(date(2023, 11, 30), date(2024, 1, 1)) == [
        date(2023, 11, 1), date(2023, 12, 1), date(2024, 1, 1),
    ]  # fmt: skip
