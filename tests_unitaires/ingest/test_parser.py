import csv
import gzip
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ingest.parser import Reading
from meteo.errors import UnreadableFile
from meteo.observation import COMPASS, FIELDS, Observations

MONTH = "IDCJDW2124.202305.csv"


def reading(content: bytes, name: str = MONTH, product: str = "", chunk_rows: int = 20_000) -> Reading:
    return Reading(lambda: io.BytesIO(content), name, product, chunk_rows)


def read(content: bytes, name: str = MONTH, product: str = "") -> Observations:
    return Observations.concatenate([batch.observations for batch in reading(content, name, product)])


@pytest.fixture
def month(real_data: Path) -> bytes:
    return (real_data / "bom" / MONTH).read_bytes()


@pytest.fixture
def small() -> bytes:
    """A month file of our own making in BOM's format."""
    header = ['"Date"', *(f'"{field.bom} ({field.unit})"' for field in FIELDS)]
    header.insert(8, '"Time of maximum wind gust"')
    first = ",2024-01-1,16.0,25.1,1.2,4.0,8.1,NNW,44,14:18,20.1,60,3, ,Calm,1015.2,24.0,50,4,SE,19,1012.9"
    second = ",2024-01-02,,,,,,,,,21.5,66,,N,6,1016.0,,,,,,"
    lines = ['"Daily Weather Observations for Sydney, ""New"" South Wales"', '"Prepared   IDCJDW2124.202401"', "",
             "," + ",".join(header), first, second]  # fmt: skip
    return "\r\n".join(lines).encode("latin-1")


def test_real_month_files_equal_an_independent_reading(real_data: Path) -> None:
    """The csv module, positions and BOM's own conventions: a second way to the same numbers."""
    paths = sorted((real_data / "bom").glob("*.csv"))
    assert paths
    for path in paths:
        lines = path.read_bytes().decode("latin-1").splitlines()
        body = lines[next(n for n, line in enumerate(lines) if line.startswith(',"Date"')) + 1 :]
        expected = [row[2:9] + row[10:] for row in csv.reader(body) if row]
        found = read(path.read_bytes(), path.name)
        assert len(found) == len(expected) >= 28
        for row, cells in zip(found.values, expected, strict=True):
            for value, cell, field in zip(row, cells, FIELDS, strict=True):
                if not cell.strip():
                    assert np.isnan(value)
                elif cell == "Calm":
                    assert value == 0
                elif field.compass:
                    assert COMPASS[int(value)] == cell
                else:
                    assert value == float(cell)


def test_a_real_month_has_its_days_and_station(month: bytes) -> None:
    found = read(month)
    assert set(found.station.tolist()) == {"Sydney"}
    np.testing.assert_array_equal(found.day, np.arange("2023-05-01", "2023-06-01", dtype="datetime64[D]"))


@pytest.mark.slow
def test_the_whole_history_is_read_compressed_or_not(history: Path) -> None:
    content = history.read_bytes()
    found = read(content, history.name)
    assert len(found) == 145_460
    assert len(np.unique(found.station)) == 49
    frame = list(csv.DictReader(io.StringIO(gzip.decompress(content).decode())))
    for number in (0, 50_000, 145_459):
        row = frame[number]
        assert (found.station[number], str(found.day[number])) == (row["Location"], row["Date"])
        for field, value in zip(FIELDS, found.values[number], strict=True):
            cell = row[field.history]
            expected = np.nan if cell == "NA" else COMPASS.index(cell) if field.compass else float(cell)
            np.testing.assert_equal(value, expected)
    missing = sum(cell == "NA" for row in frame for name, cell in row.items() if not name.startswith("Rain"))
    assert np.isnan(np.delete(found.values, 2, axis=1)).sum() == missing


def test_calm_is_no_wind_and_blank_is_missing(small: bytes) -> None:
    found = read(small)
    assert found.column("wind_speed_9am").tolist() == [0, 6]
    assert np.isnan(found.column("wind_dir_9am")[0])
    assert found.column("wind_dir_9am")[1] == 0
    assert np.isnan(found.column("temp_3pm")[1])


def test_days_are_read_padded_or_not(small: bytes) -> None:
    assert [str(day) for day in read(small).day] == ["2024-01-01", "2024-01-02"]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_any_line_end_will_do(small: bytes, end: bytes) -> None:
    np.testing.assert_array_equal(read(small.replace(b"\r\n", end)).values, read(small).values)


def test_columns_are_found_by_name_not_by_place(small: bytes) -> None:
    lines = small.decode("latin-1").split("\r\n")
    swapped = [",".join([cells[0], cells[1], cells[3], cells[2], *cells[4:]]) for cells in
               (line.split(",") for line in lines[3:])]  # fmt: skip
    other = "\r\n".join([*lines[:3], *swapped]).encode("latin-1")
    np.testing.assert_array_equal(read(other).values, read(small).values)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: b"", "is empty"),
        (lambda text: b"\n\n", "is empty"),
        (lambda text: b"<!DOCTYPE html><html>denied</html>", "is a web page"),
        (lambda text: text.replace(b"Rainfall", b"Rain"), "lacks the column(s) Rainfall"),
        (lambda text: text.replace(b'"Date"', b'"Day"'), "no header line"),
        (lambda text: text.replace(b"IDCJDW2124", b"IDCJDW9999"), "says it is IDCJDW9999, not IDCJDW2124"),
        (lambda text: text.replace(b"(mm)", b"(inches)", 1), "gives Rainfall in inches; mm is needed"),
        (
            lambda text: text.replace(b"Minimum temperature (\xb0C)", b"Minimum temperature (\xb0F)"),
            "in F; °C is needed",
        ),
        (lambda text: text.replace(b"wind speed (km/h)", b"wind speed (m/s)"), "in m/s; km/h is needed"),
        (lambda text: text.replace(b'"Time of maximum wind gust"', b'"Rainfall (mm)"'), "Rainfall more than once"),
        (lambda text: text[: text.index(b",2024-01-1,")], "has a header and no rows"),
        (lambda text: b"\x1f\x8b" + text, "is damaged"),
        (lambda text: gzip.compress(text)[:-20], "is damaged or cut off"),
        (lambda text: bytes(range(256)) * 100, "no header line"),
        (lambda text: b"x" * 10_000_000, "line of more than"),
        (lambda text: gzip.compress(b"\0" * 100_000_000), "line of more than"),
        (lambda text: np.random.default_rng(1).bytes(10_000_000), "has no header line"),
        (lambda text: text + b"\r\n" + np.random.default_rng(1).bytes(10_000_000), "more than half of the rows"),
    ],
)
def test_a_file_that_is_something_else_is_refused(small: bytes, change: Callable[[bytes], bytes], reason: str) -> None:
    with pytest.raises(UnreadableFile) as refusal:
        read(change(small))
    assert reason in refusal.value.detail


def test_another_stations_file_under_the_asked_name_is_refused(small: bytes) -> None:
    with pytest.raises(UnreadableFile, match="says it is IDCJDW2124, not IDCJDW3050"):
        read(small, "IDCJDW3050.202401.csv", "IDCJDW3050")


def test_a_row_with_an_unreadable_cell_is_quarantined_and_the_others_kept(small: bytes) -> None:
    (batch,) = reading(small.replace(b"25.1", b"2 5"))
    assert [str(day) for day in batch.observations.day] == ["2024-01-02"]
    (refused,) = batch.quarantined
    assert (refused.station, str(refused.day)) == ("Sydney", "2024-01-01")
    assert refused.reason == "max_temp: '2 5' is not a number"
    assert refused.row["max_temp"] == "2 5"


def test_unknown_directions_dates_and_stations_are_quarantined() -> None:
    header = ["Date", "Location", *(field.history for field in FIELDS)]
    good = ["2024-01-01", "Sydney", *("W" if field.compass else "5" for field in FIELDS)]
    wrong = [["01/02/2024", *good[1:]], [good[0], "Atlantis", *good[2:]],
             [*good[:2], *("X" if field.compass else "5" for field in FIELDS)]]  # fmt: skip
    content = "\n".join(",".join(row) for row in (header, good, *wrong)).encode()
    (batch,) = reading(content, "some.csv")
    assert len(batch.observations) == 1
    reasons = [refused.reason for refused in batch.quarantined]
    assert reasons[0] == "date: '01/02/2024' is not a day written YYYY-MM-DD"
    assert reasons[1] == "station: 'Atlantis' is not one of the known stations"
    assert "'X' is not one of the 16 compass points" in reasons[2]
    assert [refused.fields for refused in batch.quarantined[:2]] == [["date"], ["station"]]


@pytest.mark.parametrize("cell", ["nan", "inf", "1e3", "0x10", "1_000", "12,5", "25.", "٢٥", "Calm"])
def test_only_plain_numbers_are_read(small: bytes, cell: str) -> None:
    content = small.decode("latin-1").replace("25.1", f'"{cell}"').encode()
    (batch,) = reading(content)
    assert [refused.fields for refused in batch.quarantined] == [["max_temp"]]


def test_a_file_saved_again_by_pandas_is_the_same(real_data: Path) -> None:
    """UTF-8 without BOM's first lines, zeros as 0.0, an index column: the station is in the name."""
    content = (real_data / "bom" / MONTH).read_bytes()
    table = content[content.index(b',"Date"') :]
    frame = pd.read_csv(io.BytesIO(table), encoding="latin-1").drop(columns="Unnamed: 0")
    for again in (frame.to_csv().encode(), frame.to_csv(index=False).encode("utf-8-sig")):
        found = reading(again)
        np.testing.assert_array_equal(
            Observations.concatenate([b.observations for b in found]).values, read(content).values
        )
        assert found.unknown == []


def test_a_file_that_names_no_product_says_to_keep_its_name(small: bytes) -> None:
    with pytest.raises(UnreadableFile, match=r"must keep its name, such as IDCJDW2124\.202305\.csv"):
        read(small.replace(b"IDCJDW2124.", b""), "may.csv")


def test_a_product_of_no_station_is_refused(small: bytes) -> None:
    with pytest.raises(UnreadableFile, match="IDCJDW9999, which belongs to none of the stations"):
        read(small.replace(b"IDCJDW2124", b"IDCJDW9999"), "may.csv")


def test_a_name_and_a_content_that_disagree_are_refused(small: bytes) -> None:
    with pytest.raises(UnreadableFile, match="says it is IDCJDW2124, not IDCJDW3050"):
        read(small, "IDCJDW3050.202401.csv")


def test_quotes_above_the_header_do_no_harm(small: bytes) -> None:
    odd = small.replace(b'"Daily Weather', b'"Daily "" " Weather, "quoted')
    np.testing.assert_array_equal(read(odd).values, read(small).values)


def test_a_header_that_comes_again_is_no_row(small: bytes) -> None:
    header = next(line for line in small.split(b"\r\n") if line.startswith(b',"Date"'))
    second = small.replace(b",2024-01-02,", header + b"\r\n,2024-01-02,")
    (batch,) = reading(second)
    assert (len(batch.observations), len(batch.quarantined)) == (2, 0)


def test_a_row_that_is_cut_off_is_quarantined_with_its_line(small: bytes) -> None:
    (batch,) = reading(small[:-12])
    assert [str(day) for day in batch.observations.day] == ["2024-01-01"]
    assert batch.quarantined[0].reason.startswith("date: line 6 has ")
    assert "where the header has 22" in batch.quarantined[0].reason
    assert batch.quarantined[0].row["cell 1"] == "2024-01-02"


def test_trailing_blanks_do_no_harm(small: bytes) -> None:
    """Blank cells at the ends of lines, as spreadsheets leave them, blank lines, and blanks after a value."""
    lines = small.decode("latin-1").split("\r\n")
    blank = [*lines[:4], lines[4].replace("25.1", "25.1  ") + ",,", "", lines[5] + ", ", "," * 21, "," * 30, "  ", ""]
    (batch,) = reading("\r\n".join(blank).encode("latin-1"))
    assert batch.quarantined == []
    np.testing.assert_array_equal(batch.observations.values, read(small).values)


def test_cells_beyond_the_header_are_no_trailing_blanks(small: bytes) -> None:
    (batch,) = reading(small + b",7")
    assert batch.quarantined[0].reason.startswith("date: line 6 has 23 cells where the header has 22")


def test_unknown_columns_are_reported(small: bytes) -> None:
    found = reading(small.replace(b'"Time of maximum wind gust"', b'"Soil moisture (%)"'))
    assert len(Observations.concatenate([batch.observations for batch in found])) == 2
    assert found.unknown == ["Soil moisture"]


def lines(*given: tuple[str, str, str]) -> bytes:
    """weatherAUS rows of (day, station, 9am temperature)."""
    header = ["Date", "Location", *(field.history for field in FIELDS)]
    rows = [[day, place, *(value if field.name == "temp_9am" else "NA" for field in FIELDS)]
            for day, place, value in given]  # fmt: skip
    return "\n".join(",".join(row) for row in [header, *rows]).encode()


@pytest.mark.parametrize("chunk_rows", [1, 2, 3, 100])
def test_days_that_come_again_stand_side_by_side_whatever_the_chunks(chunk_rows: int) -> None:
    content = lines(("2024-01-01", "Sydney", "20"), ("2024-01-02", "Sydney", "21"), ("2024-01-01", "Perth", "30"),
                    ("2024-01-01", "Sydney", "25"))  # fmt: skip
    batches = list(reading(content, "h.csv", chunk_rows=chunk_rows))
    together = [batch for batch in batches if (batch.observations.station == "Sydney").sum() >= 2
                and (batch.observations.day == np.datetime64("2024-01-01")).sum() >= 2]  # fmt: skip
    assert len(together) == 1
    assert sum(len(batch.observations) for batch in batches) == 4


def test_chunks_make_no_difference(history: Path) -> None:
    content = gzip.decompress(history.read_bytes())[:300_000].rsplit(b"\n", 1)[0]
    parts = [batch.observations for batch in reading(content, "h.csv", chunk_rows=700)]
    assert len(parts) > 3
    np.testing.assert_array_equal(Observations.concatenate(parts).values, read(content, "h.csv").values)
