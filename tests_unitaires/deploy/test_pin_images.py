"""The script that pins images by digest, with an engine of the tests' own that knows some of them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
ENGINE = f"""#!{sys.executable}
import hashlib, os, sys, yaml
if sys.argv[1] == "compose":
    assert sys.argv[2:] in (["version"], ["--profile", "backup", "config"])
    whole = yaml.safe_load(open("docker-compose.yaml"))
    print(yaml.safe_dump({{name: whole[name] for name in ("services", "secrets", "volumes")}}))
    sys.exit()
image = sys.argv[-1]
if image not in os.environ.get("UNKNOWN", ""):
    print(image.rpartition(":")[0] + "@sha256:" + hashlib.sha256(image.encode()).hexdigest())
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "deploy/containers").mkdir(parents=True)
    for script in ("pin_images.sh", "compose"):
        shutil.copy(REPOSITORY / "deploy/containers" / script, folder / "deploy/containers")
    shutil.copy(REPOSITORY / "docker-compose.yaml", folder)
    (tmp_path / "docker").write_text(ENGINE)
    (tmp_path / "docker").chmod(0o755)
    return folder


def pin(checkout: Path, *arguments: str, unknown: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{checkout.parent}:{os.environ['PATH']}", "UNKNOWN": unknown}
    command = [str(checkout / "deploy/containers/pin_images.sh"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_every_image_that_others_make_is_taken_by_its_digest(checkout: Path) -> None:
    assert pin(checkout).returncode == 0
    services = yaml.safe_load((checkout / "docker-compose.yaml").read_text())["services"]
    foreign = {name: service["image"] for name, service in services.items() if "build" not in service}
    override = yaml.safe_load((checkout / "docker-compose.digests.yaml").read_text())
    assert set(override["services"]) == set(foreign)
    assert {"postgres", "redis", "proxy", "balancer", "prometheus", "grafana", "volumes"} <= set(foreign)
    for name, service in override["services"].items():
        repository, _, digest = service["image"].partition("@sha256:")
        assert repository == foreign[name].rpartition(":")[0]
        assert len(digest) == 64
    assert len({service["image"] for service in override["services"].values()}) == len(set(foreign.values()))


def test_an_image_without_a_digest_is_named_and_no_file_is_made(checkout: Path) -> None:
    done = pin(checkout, unknown="redis:7")
    assert done.returncode == 1
    assert "redis:7 has no digest" in done.stderr
    assert not (checkout / "docker-compose.digests.yaml").exists()


def test_the_chart_is_given_our_own_by_digest(checkout: Path) -> None:
    done = pin(checkout, "registry.example/rain", "1.2")
    images = yaml.safe_load(done.stdout)["images"]
    assert (images["byDigest"], images["registry"], images["tag"]) == (True, "registry.example/rain", "1.2")
    assert set(images["digests"]) == {"gateway", "api_model", "streamlit_app", "mlflow", "jobs_all"}
    assert pin(checkout, "registry.example/rain", "1.2", unknown="registry.example/rain/mlflow:1.2").returncode == 1
