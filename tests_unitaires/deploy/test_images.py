"""What the engine is given to build an image from is what the Dockerfile copies."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_dockerfile_copies_nothing_that_the_engine_is_not_given() -> None:
    given = [line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [
        source.rstrip("/")
        for line in (REPOSITORY / "deploy/images/Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from=" not in line
        for source in line.split()[1:-1]
    ]
    assert len(copied) > 5
    for source in copied:
        known = re.sub(r"\$\{.*?\}.*", "", source).rstrip("/")
        assert any(known == allowed or known.startswith(f"{allowed}/") for allowed in given), source
        assert (REPOSITORY / known).exists(), source


def test_no_image_tells_anybody_outside_what_it_does() -> None:
    environment = re.findall(r"^ENV (.*)", (REPOSITORY / "deploy/images/Dockerfile").read_text(), re.MULTILINE)[-1]
    assert "MLFLOW_DISABLE_TELEMETRY=true" in environment.split()
