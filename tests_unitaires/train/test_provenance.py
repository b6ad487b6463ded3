"""Which code a model's card names."""

import pytest
import structlog

from train.provenance import git_commit


@pytest.mark.parametrize(("said", "told"), [("unknown", 1), ("c" * 40, 0)])
def test_a_training_whose_commit_is_unknown_says_so(monkeypatch: pytest.MonkeyPatch, said: str, told: int) -> None:
    monkeypatch.setenv("METEO_GIT_COMMIT", said)
    with structlog.testing.capture_logs() as lines:
        assert git_commit() == said
    warnings = [line["event"] for line in lines if line["log_level"] == "warning"]
    assert len(warnings) == told
    assert all("the model's card will not name its code" in warning for warning in warnings)
