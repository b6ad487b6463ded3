import gzip
import hashlib
import io
from pathlib import Path

import pytest

from ingest.landing import Landing

CONTENT = b"a,b\r\n1,2" * 1000


def test_what_is_kept_comes_back_byte_for_byte_and_is_stored_once(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    digest, size = landing.keep(io.BytesIO(CONTENT))
    assert (digest, size) == (hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
    (path,) = tmp_path.rglob("*.gz")
    written = path.stat().st_mtime_ns
    assert landing.keep(io.BytesIO(CONTENT)) == (digest, size)
    assert path.stat().st_mtime_ns == written
    assert landing.open(digest).read() == gzip.decompress(path.read_bytes()) == CONTENT
    assert path.stat().st_size < len(CONTENT) / 10
    assert list(tmp_path.glob("*.tmp")) == []


def test_a_source_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        Landing(tmp_path).keep(Broken())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / "17.tmp").write_bytes(b"half")
    digest, _ = Landing(tmp_path).keep(io.BytesIO(CONTENT))
    Landing(tmp_path).sweep()
    assert not (tmp_path / "17.tmp").exists()
    assert Landing(tmp_path).holds(digest)
    assert not Landing(tmp_path).holds("0" * 64)


def test_only_digests_name_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a SHA-256"):
        Landing(tmp_path).open("../secret")
