"""Many rows at once, as JSON, CSV or Arrow: each is answered in its place, a bad one with what is wrong with it."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from meteo.contract import BatchError, Prediction, PredictRequest, field_errors
from meteo.errors import InvalidInput
from meteo.observation import BY_NAME

MOST_ROWS = 100_000
MOST_KNOWN = 10_000
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
CSV, JSON, ARROW = "text/csv", "application/json", "application/vnd.apache.arrow.stream"
_ANSWER = ("prediction_id", "probability", "rain_tomorrow", "threshold", "neighbours_used")
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
Rows = Sequence[Any]
Answers = Sequence[Prediction | BatchError]


@dataclass(frozen=True)
class Form:
    """How a batch is read and how its answers are written."""

    read: Callable[[bytes], Rows]
    write: Callable[[Rows, Answers], bytes]
    media_type: str


def form_of(content_type: str, accept: str) -> Form:
    """A table is answered by JSON unless its own form is accepted; Arrow by Arrow."""
    if content_type.startswith(ARROW):
        return Form(rows_of_arrow, arrow_of, ARROW)
    read = rows_of_csv if content_type.startswith(CSV) else rows_of_json
    if read is rows_of_csv and CSV in accept:
        return Form(read, csv_of, "text/csv; charset=utf-8")
    return Form(read, json_of, JSON)


def rows_of_json(body: bytes) -> list[Any]:
    """The rows of a JSON list; InvalidInput when it is none, or too long."""
    try:
        rows = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidInput(f"body: not JSON: {error}", [("body", "not JSON")]) from error
    if not isinstance(rows, list):
        raise InvalidInput("body: a list of requests is needed", [("body", "a list of requests is needed")])
    return _within_limits(rows)


def rows_of_csv(body: bytes) -> list[Any]:
    """The rows of a CSV with the columns station, date and any fields; blank cells are left out."""
    try:
        lines = list(csv.reader(io.StringIO(body.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"body: not a CSV in UTF-8: {error}", [("body", "not a CSV in UTF-8")]) from error
    header = [name.strip() for name in lines[0]] if lines else []
    _require_columns(header)
    rows = [line for line in lines[1:] if line]
    _within_limits(rows)
    readers = [(name, _Reader(name)) for name in header]
    return [_request(readers, row) for row in rows]


def rows_of_arrow(body: bytes) -> list[Any]:
    """The rows of an Arrow stream with the columns station, date and any fields; nulls are left out."""
    import pyarrow as pa

    try:
        table = pa.ipc.open_stream(body).read_all()
    except pa.ArrowInvalid as error:
        raise InvalidInput(f"body: not an Arrow stream: {error}", [("body", "not an Arrow stream")]) from error
    _require_columns(table.column_names)
    fields = [name for name in table.column_names if name not in ("station", "date")]
    columns = [table[name].to_pylist() for name in fields]
    days = [str(day) for day in table["date"].to_pylist()]
    rows = []
    for place, day, *row in zip(table["station"].to_pylist(), days, *columns, strict=True):
        observation = {name: value for name, value in zip(fields, row, strict=True) if value is not None}
        rows.append({"station": place, "date": day, "observation": observation})
    return _within_limits(rows)


def parsed(row: Any) -> PredictRequest | BatchError:
    """One row as a request, or what is wrong with it."""
    if isinstance(row, dict) and isinstance(row.get("date"), str) and _DATE.fullmatch(row["date"]):
        with suppress(ValueError):  # such as 30 February: validation names it
            row = {**row, "date": date.fromisoformat(row["date"])}
    try:
        return PredictRequest.model_validate(row)
    except ValidationError as error:
        return refused(field_errors(list(error.errors(include_input=False, include_url=False, include_context=False))))


def refused(errors: Sequence[tuple[str, str]]) -> BatchError:
    detail = "; ".join(f"{field}: {message}" for field, message in errors[:5])
    return BatchError(detail=detail, errors=[{"field": field, "message": message} for field, message in errors])


def json_of(_: Rows, answers: Answers) -> bytes:
    """A list with each row's answer or what is wrong with it."""
    return b"[" + b",".join(answer.model_dump_json(exclude_unset=True).encode() for answer in answers) + b"]"


def arrow_of(_: Rows, answers: Answers) -> bytes:
    """An Arrow stream of the answers; `error` says why a row has none."""
    import pyarrow as pa

    good = [answer if isinstance(answer, Prediction) else None for answer in answers]
    columns: dict[str, list[Any]] = {name: [answer and getattr(answer, name) for answer in good] for name in _ANSWER}
    columns["model_version"] = [answer and answer.model.version for answer in good]
    columns["error"] = [answer.detail if isinstance(answer, BatchError) else None for answer in answers]
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    found: bytes = sink.getvalue().to_pybytes()
    return found


def csv_of(rows: Rows, answers: Answers) -> bytes:
    """What was asked, with the answer beside it; `error` says why a row has none."""
    text = io.StringIO()
    fields = list(dict.fromkeys(name for row in rows for name in row.get("observation", {})))
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["station", "date", *fields, *_ANSWER, "model_version", "error"])
    for row, answer in zip(rows, answers, strict=True):
        given = [row["station"], row["date"], *(row["observation"].get(name, "") for name in fields)]
        if isinstance(answer, BatchError):
            writer.writerow([*map(_plain, given), *[""] * (len(_ANSWER) + 1), answer.detail])
        else:
            values = [getattr(answer, name) for name in _ANSWER]
            writer.writerow([*map(_plain, given), *values, answer.model.version, ""])
    return text.getvalue().encode()


class _Reader:
    """Reads the cells of one column; what it has read once it knows, for readings repeat."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._known: dict[str, Any] = {}

    def __call__(self, cell: str) -> Any:
        if cell not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[cell] = _value(self._name, cell.strip())
        return self._known[cell]


def _request(readers: Sequence[tuple[str, _Reader]], row: Sequence[str]) -> dict[str, Any]:
    observation = {name: value for (name, read), cell in zip(readers, row, strict=False)
                   if (value := read(cell)) is not None}  # fmt: skip
    request = {name: observation.pop(name, "") for name in ("station", "date")}
    if len(row) > len(readers):
        request["cells"] = "more than the header has"
    return {**request, "observation": observation}


def _value(name: str, cell: str) -> Any:
    """A number or a truth where the cell is one, None where it is blank; else the text, which validation then names."""
    if not cell:
        return None
    if name == "rain_today":
        return _TRUTH.get(cell.lower(), cell)
    if name in BY_NAME and not BY_NAME[name].compass:
        try:
            value = BY_NAME[name].read(cell)
        except ValueError:
            return cell
        return None if value != value else value
    return cell


def _require_columns(header: Sequence[str]) -> None:
    known = {"station", "date", "rain_today", *BY_NAME}
    unknown = sorted(set(header) - known)
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        message = f"columns given more than once: {', '.join(repeated)}"
        raise InvalidInput(f"body: {message}", [("body", message)])
    if unknown or not {"station", "date"} <= set(header):
        message = f"columns station, date and some of {', '.join(sorted(known - {'station', 'date'}))} are needed"
        raise InvalidInput(f"body: {message}; unknown: {', '.join(unknown) or 'none'}", [("body", message)])


def _within_limits(rows: list[Any]) -> list[Any]:
    if not 0 < len(rows) <= MOST_ROWS:
        message = f"{len(rows)} rows; 1 to {MOST_ROWS:,} are answered at once"
        raise InvalidInput(f"body: {message}", [("body", message)])
    return rows


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a spreadsheet take a cell for a formula (OWASP), full-width forms included."""


def _plain(cell: Any) -> Any:
    """A text cell that a spreadsheet would not take for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
