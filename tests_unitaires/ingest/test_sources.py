from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ingest.bom_source import BomSource
from ingest.sources import FileSource, RawFile
from meteo.errors import InvalidInput
from meteo.station import station

SYDNEY, PERTH = station("Sydney"), station("Perth")


def source(bom: Any, pauses: list[float] | None = None, **settings: Any) -> BomSource:
    given: dict[str, Any] = {"user_agent": "tests", "backoff_seconds": 0.0, "pause_seconds": 2.5, **settings}

    async def pause(seconds: float) -> None:
        if pauses is not None:
            pauses.append(seconds)

    return BomSource(bom.address, [SYDNEY, PERTH], [date(2024, 1, 1), date(2024, 2, 1)], pause=pause, **given)


def test_files_and_folders_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    for name in ("b.csv", "a.csv.gz", "deep/c.csv", "notes.txt"):
        (tmp_path / "folder" / name).write_bytes(name.encode())
    (tmp_path / "single.dat").write_bytes(b"x")
    given = FileSource([tmp_path / "folder", tmp_path / "single.dat"])
    found = [each for each in given.files((), lambda _: None) if isinstance(each, RawFile)]
    assert [each.name for each in found] == ["a.csv.gz", "b.csv", "deep/c.csv", "single.dat"]
    assert given.total == 4
    with found[2].open() as content:
        assert content.read() == b"deep/c.csv"


def test_files_of_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    paths = [tmp_path / year / "IDCJDW2124.csv" for year in ("2023", "2024")]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(path.parent.name.encode())
    for given in (paths, [path.parent for path in paths]):
        source = FileSource(given)
        found = [each for each in source.files((), lambda _: None) if isinstance(each, RawFile)]
        assert [each.name for each in found] == [path.as_posix() for path in paths]
        assert source.total == 2


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="does not exist"):
        FileSource([tmp_path / "nowhere"])
    with pytest.raises(InvalidInput, match="needs --path"):
        FileSource([])
