from pathlib import Path

import pytest

from ingest.landing import Landing


def test_bytes_come_back_as_received_and_are_kept_once(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    digest = landing.keep(b"\xb0C,\r\nno final newline")
    assert landing.keep(b"\xb0C,\r\nno final newline") == digest
    assert landing.read(digest) == b"\xb0C,\r\nno final newline"
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".gz"]


def test_a_write_that_fails_leaves_no_landed_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        Landing(tmp_path).keep(b"x")
    assert not list(tmp_path.rglob("*.gz"))
