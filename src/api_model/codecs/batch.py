"""Many rows at once, as JSON or CSV: each is answered in its place, a bad one with what is wrong with it.

A body is first cut into pieces by a look that keeps nothing of it; then it is read and answered piece by piece, so that
no body, however made, takes more memory than a few times its size.
"""

from api_model.codecs.csv import CSV, CsvTable
from api_model.codecs.json import JsonList
from api_model.codecs.rows import Given


def read_batch(body: bytes, content_type: str) -> Given:
    """The batch in `body`; InvalidInput when it is none, or too long."""
    return CsvTable(body) if content_type.startswith(CSV) else JsonList(body)
