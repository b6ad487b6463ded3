"""Every way in which images are built tells them the commit that they are built from."""

import re
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
TRAINS = {"airflow", "train"}
"""The groups whose images train models, whose cards name the commit."""


def test_the_images_that_train_take_the_commit() -> None:
    services = yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text(encoding="utf-8"))["services"]
    builds = [service["build"]["args"] for service in services.values() if "build" in service]
    assert {args["GROUP"] for args in builds if args.get("REVISION") == "${REVISION:-unknown}"} >= TRAINS


@pytest.mark.parametrize(
    "file", ["Makefile", "README.md", "docs/operations.md", "deploy/ansible/roles/rain/tasks/main.yml"]
)
def test_nothing_builds_images_without_the_commit(file: str) -> None:
    text = (REPOSITORY / file).read_text(encoding="utf-8").replace("\\\n", " ")
    builds = re.findall(
        r"^.*(?:docker[- ]compose build|docker build|make build|\$\(MAKE\) build).*$", text, re.MULTILINE
    )
    assert builds
    assert all("REVISION=$" in build or "make build" in build or "$(MAKE) build" in build for build in builds), builds
