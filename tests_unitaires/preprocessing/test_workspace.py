"""What DVC unpickles is never what another account could have put there."""

import os
from pathlib import Path

import pytest

from meteo.errors import MeteoError, NotFound
from preprocessing.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    pipeline = tmp_path / "dvc.yaml"
    pipeline.write_text("stages: {}")
    return Workspace(tmp_path / "dvc", pipeline, str(tmp_path / "remote"), {})


@pytest.fixture
def site_cache(tmp_path: Path) -> Path:
    return tmp_path / "dvc-site-cache"


def test_a_site_cache_that_others_could_enter_is_made_anew(workspace: Workspace, site_cache: Path) -> None:
    site_cache.mkdir()
    (site_cache / "planted").write_bytes(b"cos\nsystem\n.")
    site_cache.chmod(0o777)
    workspace.prepare({})
    assert not (site_cache / "planted").exists()
    (site_cache / "ours").write_text("kept")
    workspace.reproduce()
    assert (site_cache / "ours").exists()
    for path in (site_cache, *site_cache.rglob("*"), *workspace.folder.rglob("*")):
        assert not path.lstat().st_mode & 0o077, path


@pytest.mark.parametrize("foreign", ["link", "owner"])
def test_a_site_cache_that_is_not_this_accounts_is_refused(
    workspace: Workspace, site_cache: Path, tmp_path: Path, foreign: str
) -> None:
    if foreign == "link":
        (tmp_path / "elsewhere").mkdir()
        site_cache.symlink_to(tmp_path / "elsewhere")
    elif os.geteuid() == 0:
        site_cache.mkdir(mode=0o700)
        os.chown(site_cache, 12345, 12345)
    else:
        pytest.skip("only root can give a folder away")
    with pytest.raises(MeteoError, match="dvc-site-cache is not a folder of this account"):
        workspace.prepare({})


def test_nothing_is_removed_while_a_version_that_a_card_names_cannot_be_listed(
    workspace: Workspace, tmp_path: Path
) -> None:
    workspace.prepare({})
    (workspace.folder / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    kept = [
        folder / "files" / "md5" / "ab" / ("c" * 30)
        for folder in (workspace.folder / ".dvc/cache", tmp_path / "remote")
    ]
    for path in kept:
        path.parent.mkdir(parents=True)
        path.write_text("data")
    with pytest.raises(NotFound, match="which a model's card names, cannot be had from"):
        workspace.keep_only([f"{0:032}.dir"])
    assert all(path.exists() for path in kept)
    assert workspace.keep_only([]) == {"data cache bytes": 4, "data remote bytes": 4}
