from datetime import date

from ingest.months import months_before, months_between


def test_months_are_counted_over_the_turn_of_the_year() -> None:
    assert months_before(date(2024, 1, 31), 1) == date(2023, 12, 1)
    assert months_before(date(2024, 3, 15), 15) == date(2022, 12, 1)
    assert months_between(date(2023, 11, 30), date(2024, 1, 1)) == [
        date(2023, 11, 1), date(2023, 12, 1), date(2024, 1, 1),
    ]  # fmt: skip
