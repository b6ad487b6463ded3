from pathlib import Path

RESTORE = Path(__file__).resolve().parents[2] / "deploy" / "containers" / "restore.sh"


def test_files_are_put_back_when_nothing_writes_them_any_more() -> None:
    """Migrating, a part of `make roles`, leaves a measurement in `state`: the drill would find another file."""
    script = RESTORE.read_text(encoding="utf-8")
    assert script.index("\nmake roles") < script.index("\nput_back files") < script.index("\nput_back measurements")
    assert "compose up" not in script[script.index("\nput_back files") :].split("exit 0")[0]
