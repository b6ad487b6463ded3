"""The console's words: a catalogue for each language, and numbers, days and moments as its readers write them."""

import string
import tomllib
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from babel import Locale
from babel.core import UnknownLocaleError, negotiate_locale
from babel.dates import format_date, format_datetime, get_day_names, get_month_names
from babel.numbers import format_decimal, format_percent

NAMES = {"en": "English", "fr": "Français"}
COOKIE = "language"
_LOCALES = {"en": "en_AU", "fr": "fr"}


class Language:
    """Called with the key of a sentence and what stands in it, gives the sentence; KeyError where there is none."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.words = catalogue(code)
        self._locale = Locale.parse(_LOCALES[code])

    def __call__(self, key: str, **values: Any) -> str:
        return self.words[key].format(**values) if values else self.words[key]

    def known(self, key: str, otherwise: str) -> str:
        """The words of a key that may be new to us, such as another service's state."""
        return self.words.get(key, otherwise)

    def number(self, value: float, digits: int = 0) -> str:
        """With so many decimals at most."""
        return format_decimal(round(value, digits), "#,##0." + "#" * digits if digits else "#,##0", self._locale)

    def between(self, low: float, high: float, digits: int) -> str:
        return f"{self.number(low, digits)} – {self.number(high, digits)}"

    def percent(self, share: float) -> str:
        """0.42 -> 42%."""
        return format_percent(share, locale=self._locale)

    def day(self, day: date) -> str:
        """With its weekday, as it is said."""
        return format_date(day, self("format.day"), self._locale)

    def moment(self, moment: datetime) -> str:
        """The clock's time and the day, of the moment's own time zone."""
        return format_datetime(moment, self("format.moment"), locale=self._locale)

    def charts(self) -> dict[str, Any]:
        """The locale of Vega's charts."""
        symbols = self._locale.number_symbols["latn"]
        months, days = (
            [names[key] for key in sorted(names)]
            for names in (
                get_month_names("wide", "stand-alone", self._locale),
                get_day_names("wide", "stand-alone", self._locale),
            )
        )
        short_months, short_days = (
            [names[key] for key in sorted(names)]
            for names in (
                get_month_names("abbreviated", "stand-alone", self._locale),
                get_day_names("abbreviated", "stand-alone", self._locale),
            )
        )
        return {
            "number": {
                "decimal": symbols["decimal"],
                "thousands": symbols["group"],
                "grouping": [3],
                "currency": ["", ""],
                "percent": self("format.percent_sign"),
            },
            "time": {
                "dateTime": "%A %e %B %Y %X",
                "date": "%d/%m/%Y",
                "time": "%H:%M:%S",
                "periods": ["am", "pm"],
                "days": days[-1:] + days[:-1],
                "shortDays": short_days[-1:] + short_days[:-1],
                "months": months,
                "shortMonths": short_months,
            },
        }


@cache
def language(code: str) -> Language:
    """One of NAMES; KeyError for another."""
    return Language(code)


@cache
def catalogue(code: str) -> dict[str, str]:
    """Dotted keys and their sentences."""
    text = files("streamlit_app").joinpath("locales", f"{code}.toml").read_text(encoding="utf-8")
    return {f"{part}.{key}": words for part, entries in tomllib.loads(text).items() for key, words in entries.items()}


def blanks(sentence: str) -> set[str]:
    """The names of what stands in a sentence."""
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def preferred(chosen: str | None, accept_language: str | None) -> Language:
    """What was chosen, else the first of the browser's that there is, else English."""
    if chosen in NAMES:
        return language(chosen)
    wanted = [part.partition(";")[0].strip() for part in (accept_language or "").split(",")]
    try:
        match = negotiate_locale(wanted, list(NAMES), sep="-")
    except (UnknownLocaleError, ValueError):
        match = None
    return language(match or "en")
