"""The Terraform modules, as far as they can be read without Terraform: both have the same shape and nothing dangles."""

import re
from pathlib import Path
from typing import Any

import hcl2
import pytest

MODULES = Path(__file__).resolve().parents[2] / "deploy" / "terraform"
CHART = MODULES.parent / "helm" / "rain-tomorrow" / "values.yaml"


def text(cloud: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((MODULES / cloud).glob("*.tf")))


def names(cloud: str, kind: str) -> set[str]:
    """What is declared by blocks of that kind."""
    found: set[str] = set()
    for path in (MODULES / cloud).glob("*.tf"):
        with path.open(encoding="utf-8") as file:
            blocks: list[dict[str, Any]] = hcl2.load(file).get(kind, [])
        for block in blocks:
            for name, body in block.items():
                label = name.strip('"')
                found |= {f"{label}.{inner.strip(chr(34))}" for inner in body} if kind == "resource" else {label}
    return found


@pytest.mark.parametrize("cloud", ["gcp", "aws"])
def test_every_variable_is_declared_and_used(cloud: str) -> None:
    assert set(re.findall(r"\bvar\.(\w+)", text(cloud))) == names(cloud, "variable")


@pytest.mark.parametrize("cloud", ["gcp", "aws"])
def test_every_resource_that_is_named_exists(cloud: str) -> None:
    named = re.findall(r"(?<![\w.\"])((?:google|aws|random)_\w+\.\w+)", text(cloud))
    data = {name for name in named if re.search(rf"data\.{re.escape(name)}", text(cloud))}
    assert named
    assert set(named) - data == set(named) & names(cloud, "resource")


def test_both_clouds_give_the_chart_the_same() -> None:
    outputs = {cloud: names(cloud, "output") for cloud in ("gcp", "aws")}
    assert {"cluster", "registry", "artifacts", "secret", "stores"} <= outputs["gcp"] & outputs["aws"]


@pytest.mark.parametrize("cloud", ["gcp", "aws"])
def test_the_secret_has_every_key_the_chart_asks_for(cloud: str) -> None:
    about = re.search(r"# A Secret with the keys below.*?\nsecrets:", CHART.read_text(encoding="utf-8"), re.DOTALL)
    assert about is not None
    wanted = set(re.findall(r"\b(?:METEO|MLFLOW|DATABASE)_\w+", about[0]))
    made = re.search(r"secret_(?:data|string) = jsonencode\(\{(.*?)\n  \}\)", text(cloud), re.DOTALL)
    assert made is not None
    assert wanted <= set(re.findall(r"^    (\w+) +=", made[1], re.MULTILINE))


@pytest.mark.parametrize("cloud", ["gcp", "aws"])
def test_nothing_is_public_by_default(cloud: str) -> None:
    whole = text(cloud)
    closed = {
        "gcp": [
            "ipv4_enabled    = false",
            'public_access_prevention    = "enforced"',
            "enable_private_nodes    = true",
        ],
        "aws": [
            "publicly_accessible       = false",
            "restrict_public_buckets = true",
            "endpoint_private_access = true",
        ],
    }
    for line in closed[cloud]:
        assert line in whole
    assert "0.0.0.0/0" not in re.sub(r"route \{.*?\}", "", whole, flags=re.DOTALL)
