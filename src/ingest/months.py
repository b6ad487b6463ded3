"""Months, each named by its first day."""

from datetime import date


def months_between(start: date, end: date) -> list[date]:
    """The first days of the months from `start` to `end`, both included."""
    count = (end.year - start.year) * 12 + end.month - start.month + 1
    return [months_before(end, back) for back in range(count - 1, -1, -1)]


def months_before(day: date, months: int) -> date:
    """The first day of the month that lies `months` before that of `day`."""
    index = day.year * 12 + day.month - 1 - months
    return date(index // 12, index % 12 + 1, 1)
