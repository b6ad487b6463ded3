"""The chart, rendered for three sets of values, held against Kubernetes' own schemas and our rules."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "deploy" / "helm" / "rain-tomorrow"
RENDERER = REPOSITORY.parent / "shared" / "tools" / "helm-template" / "main.go"
SETS: dict[str, list[str | Path]] = {
    "defaults": [],
    "demo": ["-f", CHART / "ci" / "demo.yaml"],
    "airflow": ["-f", CHART / "ci" / "airflow.yaml"],
}
EXTENSIONS = {"ExternalSecret", "PrometheusRule", "ServiceMonitor"}
"""Kinds that operators bring along: Kubernetes has no schema of them."""
WORKLOADS = {"CronJob", "Deployment", "Job"}


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory, lack: Callable[[str], None]) -> Path:
    if not RENDERER.exists():
        pytest.skip("needs helm-template in ../shared/tools beside the checkout")
    if shutil.which("go") is None:
        lack("Debian's golang-go with the -dev packages of sprig and ghodss-yaml")
    program = tmp_path_factory.mktemp("helm") / "helm-template"
    subprocess.run(["go", "build", "-o", program, RENDERER], check=True,
                   env={**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode"})  # fmt: skip
    return program


@pytest.fixture(scope="module", params=SETS)
def documents(renderer: Path, request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return rendered(renderer, *SETS[request.param])


def rendered(renderer: Path, *options: str | Path) -> list[dict[str, Any]]:
    done = subprocess.run([renderer, *options, "rain", CHART], capture_output=True, text=True, check=True)
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def pods(documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The pod of each workload, by its name."""
    found = {}
    for document in documents:
        if document["kind"] in WORKLOADS:
            spec = document["spec"]
            spec = spec["jobTemplate"]["spec"] if document["kind"] == "CronJob" else spec
            found[document["metadata"]["name"]] = spec["template"]["spec"]
    return found


def test_every_document_is_strictly_what_kubernetes_takes(documents: list[dict[str, Any]]) -> None:
    for document in documents:
        if document["kind"] not in EXTENSIONS:
            kubernetes_validate.validate(document, "1.31", strict=True)
    assert {"Deployment", "Service"} <= {document["kind"] for document in documents}


def test_no_pod_can_change_its_image_or_become_more_than_it_is(documents: list[dict[str, Any]]) -> None:
    for name, pod in pods(documents).items():
        assert pod["securityContext"]["runAsNonRoot"], name
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            allowed = container["securityContext"]
            assert allowed["readOnlyRootFilesystem"], name
            assert not allowed["allowPrivilegeEscalation"], name
            assert allowed["capabilities"] == {"drop": ["ALL"]}, name
            assert container["resources"]["limits"]["memory"], name


def test_no_secret_is_written_into_a_manifest(documents: list[dict[str, Any]]) -> None:
    assert "Secret" not in {document["kind"] for document in documents}
    for name, pod in pods(documents).items():
        for container in pod["containers"]:
            for variable in container.get("env", []):
                assert "value" not in variable or "SECRET" not in variable["name"], name


def test_each_program_gets_its_own_secrets_only(documents: list[dict[str, Any]]) -> None:
    given = {}
    for name, pod in pods(documents).items():
        (container,) = pod["containers"]
        assert "secretRef" not in str(container.get("envFrom")), name
        references = [entry["valueFrom"]["secretKeyRef"]["key"] for entry in container["env"] if "valueFrom" in entry]
        given[name.removeprefix("rain-")] = set(references)
    assert "METEO_GATEWAY__JWT_SECRET" in given["gateway"]
    assert [name for name, keys in given.items() if "METEO_GATEWAY__JWT_SECRET" in keys] == ["gateway"]
    assert {name for name, keys in given.items() if "METEO_MODELS_SECRET" in keys} <= {
        "api-model",
        "training",
        "ingestion",
        "housekeeping",
    }
    assert {name for name, keys in given.items() if "DATABASE_OWNER" in keys} == {"accounts-1"}
    assert "METEO_SERVICE_SECRET" not in given["mlflow"]


def test_what_is_too_old_is_removed_as_the_pipeline_does(renderer: Path) -> None:
    """By the role that may, for the jobs' own may not see accounts."""
    pipeline = (REPOSITORY / "src" / "airflow" / "dags" / "monitoring.py").read_text(encoding="utf-8")
    tidied = re.findall(r'command\("tidy_\w+", "([^"]+)"\)', pipeline)
    (container,) = pods(rendered(renderer))["rain-housekeeping"]["containers"]
    assert tidied
    done = container["command"][-1].split(" && ")
    assert sorted(done) == sorted(f"python -m {command}" for command in tidied)
    assert done.index("python -m train housekeeping") < done.index("python -m preprocessing housekeeping")
    keys = {entry["name"]: entry["valueFrom"]["secretKeyRef"]["key"] for entry in container["env"]}
    assert keys["METEO_STORE__GATEWAY_URL"] == "DATABASE_RETENTION"
    assert keys["METEO_STORE__OBSERVATIONS_URL"] == keys["METEO_STORE__PREDICTIONS_URL"] == "DATABASE_JOBS"


def test_every_job_may_ask_what_it_needs_to(renderer: Path) -> None:
    documents = rendered(renderer)
    jobs = {document["metadata"]["name"] for document in documents if document["kind"] == "CronJob"}
    assert jobs == {"rain-ingestion", "rain-training", "rain-housekeeping", "rain-mlflow-tidy"}
    policies = {document["metadata"]["name"] for document in documents if document["kind"] == "NetworkPolicy"}
    assert jobs <= policies


def test_every_key_that_a_pod_asks_for_is_listed(documents: list[dict[str, Any]]) -> None:
    listed = (CHART / "values.yaml").read_text(encoding="utf-8").split("# A Secret with")[1].split("secrets:")[0]
    for name, pod in pods(documents).items():
        for entry in pod["containers"][0]["env"]:
            reference = entry.get("valueFrom", {}).get("secretKeyRef", {"optional": True})
            assert reference.get("optional") or reference["key"] in listed.split(), (name, reference)


def test_in_production_every_image_is_named_by_its_digest(renderer: Path) -> None:
    for name, pod in pods(rendered(renderer, *SETS["airflow"])).items():
        for container in pod["containers"]:
            assert re.fullmatch(r"ghcr\.io/[a-z/_-]+@sha256:[0-9a-f]{64}", container["image"]), name
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    values["images"]["byDigest"] = True
    with pytest.raises(jsonschema.ValidationError, match="is a required property"):
        jsonschema.validate(values, schema)
    groups = ("gateway", "api_model", "streamlit_app", "mlflow", "jobs_all")
    values["images"]["digests"] = dict.fromkeys(groups, "sha256:" + "0" * 64)
    jsonschema.validate(values, schema)


def test_only_the_arrows_of_the_design_pass(renderer: Path) -> None:
    """The console reaches gateways only, and only gateways, jobs and Prometheus reach the model API."""
    policies = {
        document["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"]: document["spec"]
        for document in rendered(renderer) if document["kind"] == "NetworkPolicy"
        if "matchLabels" in document["spec"]["podSelector"]
    }  # fmt: skip

    def others(rules: list[dict[str, Any]], way: str) -> set[str]:
        peers = [peer for rule in rules for peer in rule.get(way, [])]
        named = [
            peer.get("podSelector", {}).get("matchLabels", {}).get("app.kubernetes.io/component") for peer in peers
        ]
        return {name for name in named if name}

    assert others(policies["console"]["egress"], "to") == {"gateway"}
    assert others(policies["api-model"]["ingress"], "from") == {"gateway", "training"}
    assert others(policies["gateway"]["ingress"], "from") == {"console"}


def test_while_a_new_version_comes_no_replica_is_missed(renderer: Path) -> None:
    for document in rendered(renderer):
        name = document["metadata"]["name"]
        if document["kind"] == "Deployment" and name.endswith(("gateway", "api-model")):
            assert document["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
            (container,) = document["spec"]["template"]["spec"]["containers"]
            assert container["readinessProbe"]
            assert container["lifecycle"]["preStop"], name


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"gateway": {"replicas": 0}}, "replicas"), ({"pipelines": {"kind": "argo"}}, "kind"), ({"gatway": {}}, "gatway")],
)
def test_values_that_cannot_be_are_refused(wrong: dict[str, Any], field: str) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(values, schema)
    for name, changed in wrong.items():
        values[name] = {**values.get(name, {}), **changed}
    with pytest.raises(jsonschema.ValidationError, match=field):
        jsonschema.validate(values, schema)
