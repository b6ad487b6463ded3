"""What the layout must keep to, since breaking it fails far from the cause."""

import subprocess
import sys
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = {"api_model", "gateway", "ingest", "meteo", "monitoring", "preprocessing", "streamlit_app", "train"}


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    return [REPOSITORY / name for name in listed.splitlines() if (REPOSITORY / name).exists()]


def test_the_wheel_holds_our_packages_and_no_airflow() -> None:
    configured = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    listed = configured["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {path.removeprefix("src/") for path in listed} == PACKAGES
    assert not list((REPOSITORY / "src" / "airflow").rglob("__init__.py"))


def test_no_module_of_the_console_is_named_like_a_package() -> None:
    """Streamlit puts the script's folder first on sys.path."""
    names = {path.stem for path in (REPOSITORY / "src" / "streamlit_app").iterdir()}
    assert not names & (PACKAGES | {"mlflow", "airflow", "pages", "streamlit"})


def test_tests_are_no_packages() -> None:
    assert not list((REPOSITORY / "tests_unitaires").rglob("__init__.py"))


def test_package_inits_export_nothing() -> None:
    for path in (REPOSITORY / "src").rglob("__init__.py"):
        assert "import" not in path.read_text().replace('"""', ""), path


def test_pins_are_hashed_and_name_no_address() -> None:
    for path in (REPOSITORY / "requirements").glob("*.txt"):
        text = path.read_text()
        assert "--hash=sha256:" in text
        assert "://" not in text, path


def test_real_data_are_not_in_the_repository() -> None:
    assert not [path for path in tracked() if "weatherAUS" in path.name or path.name.startswith("IDCJDW")]
    assert not [path for path in tracked() if path.stat().st_size > 600_000]


def test_light_services_stay_light_to_import() -> None:
    code = (
        "import sys, gateway.app, streamlit_app.client; "
        "print([name for name in ('mlflow', 'xgboost', 'sklearn', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
