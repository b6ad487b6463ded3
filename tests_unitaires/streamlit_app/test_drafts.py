from datetime import date
from pathlib import Path

import pytest

from meteo.runtime.database import connect
from streamlit_app.drafts import Drafts

TYPED = {"typed temp_3pm Sydney": 23.4, "typed wind": "NNW", "typed date": date(2026, 11, 21), "typed gap": None,
         "typed stations": ["Perth"]}  # fmt: skip


def test_what_was_typed_comes_back_once_and_to_its_author_only(drafts: Drafts) -> None:
    drafts.keep("ann", TYPED)
    assert drafts.take("bob") == {}
    assert drafts.take("ann") == TYPED
    assert drafts.take("ann") == {}


def test_only_what_is_meant_to_be_kept_is_kept(drafts: Drafts) -> None:
    drafts.keep("ann", {"typed a": 1, "password": "secret", "username": "ann"})
    assert drafts.take("ann") == {"typed a": 1}


def test_the_newest_is_kept_and_a_restart_of_the_console_loses_nothing(drafts: Drafts, tmp_path: Path) -> None:
    drafts.keep("ann", {"typed a": 1})
    drafts.keep("ann", {"typed a": 2})
    assert Drafts(connect(f"sqlite:///{tmp_path / 'console.db'}")).take("ann") == {"typed a": 2}


def test_after_a_day_it_is_gone(drafts: Drafts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamlit_app.drafts.time.time", lambda: 1_000_000.0)
    drafts.keep("ann", {"typed a": 1})
    monkeypatch.setattr("streamlit_app.drafts.time.time", lambda: 1_000_000.0 + 86_401)
    assert drafts.take("ann") == {}


def test_what_is_no_form_field_is_refused(drafts: Drafts) -> None:
    with pytest.raises(TypeError, match="set"):
        drafts.keep("ann", {"typed a": {1}})
