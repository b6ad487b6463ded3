import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

import streamlit_app
from streamlit_app.language import NAMES, blanks, catalogue, language, preferred

SOURCES = {path: path.read_text(encoding="utf-8") for path in Path(streamlit_app.__file__).parent.rglob("*")
           if path.suffix in (".py", ".html")}  # fmt: skip


@pytest.mark.parametrize("code", NAMES)
def test_every_language_has_the_same_sentences_with_the_same_blanks(code: str) -> None:
    english, other = catalogue("en"), catalogue(code)
    assert other.keys() == english.keys()
    assert {key: blanks(words) for key, words in other.items()} == {
        key: blanks(words) for key, words in english.items()
    }
    assert all(words.strip() == words and words for words in other.values() if words != " %")


def test_french_is_not_english() -> None:
    english, french = catalogue("en"), catalogue("fr")
    same = {key for key in english if english[key] == french[key] and len(english[key].split()) > 2}
    assert same == {"format.day"}


def test_every_sentence_is_used_and_every_one_used_is_there() -> None:
    """A key made up of parts, as t(f"field.{name}"), uses all that begin with its first part."""
    keys = catalogue("en").keys()
    sections = "|".join({key.partition(".")[0] for key in keys})
    text = "\n".join(SOURCES.values())
    used = set(re.findall(rf"(?:[\"']|{{{{)((?:{sections})\.\w+)(?:[\"']|}}}})", text)) - {"login.html"}
    composed = tuple(set(re.findall(rf"[\"']((?:{sections})\.\w*)(?:{{|[\"'] \+)", text)))
    assert used <= keys
    assert {key for key in keys - used if not key.startswith(composed)} == set()


def test_numbers_and_days_are_written_as_readers_do() -> None:
    english, french = language("en"), language("fr")
    assert (english.number(1234.56, 1), french.number(1234.56, 1)) == ("1,234.6", "1\u202f234,6")
    assert (english.number(3, 1), french.number(2.0)) == ("3", "2")
    assert (english.percent(0.42), french.percent(0.42)) == ("42%", "42\xa0%")
    day = date(2026, 11, 21)
    assert (english.day(day), french.day(day)) == ("Saturday 21 November 2026", "samedi 21 novembre 2026")
    nine = datetime(2026, 11, 21, 9, tzinfo=UTC)
    assert (english.moment(nine), french.moment(nine)) == (
        "9am Saturday 21 November 2026", "samedi 21 novembre 2026 à 9 h"
    )  # fmt: skip


def test_charts_begin_the_week_with_sunday_and_know_the_decimal_sign() -> None:
    charts = language("fr").charts()
    assert charts["time"]["days"][:2] == ["dimanche", "lundi"]
    assert (len(charts["time"]["months"]), charts["time"]["months"][1]) == (12, "février")
    assert charts["number"]["decimal"] == ","


@pytest.mark.parametrize(
    ("chosen", "accepted", "code"),
    [
        (None, None, "en"), (None, "fr-CA,fr;q=0.8", "fr"), ("en", "fr", "en"), ("xx", "fr", "fr"),
        (None, "de,ja", "en"), (None, "*", "en"), (None, "x" * 5000, "en"), (None, ";;,,=", "en"), ("fr\r\n", "", "en"),
    ],
)  # fmt: skip
def test_the_chosen_language_is_spoken_else_the_browsers(chosen: str | None, accepted: str | None, code: str) -> None:
    assert preferred(chosen, accepted).code == code


def test_an_unknown_key_is_an_error_unless_something_else_is_offered() -> None:
    with pytest.raises(KeyError):
        language("en")("forecast.nonsense")
    assert language("en").known("state.new_in_airflow", "new_in_airflow") == "new_in_airflow"
