"""JSON log lines with the request id of the work at hand; configured once by each entry point."""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog
from structlog.typing import FilteringBoundLogger, Processor

_requests: dict[str, Any] = {"service": "", "stream": None, "said": False}


def configure(service: str, level: str = "info", stream: TextIO | None = None) -> None:
    """One JSON object a line on stderr; standard logging (libraries) goes the same way."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        lambda _logger, _method, event: {"service": service, **event},
    ]
    render = structlog.processors.JSONRenderer(ensure_ascii=True)
    _requests.update(service=service, stream=stream, said=level in ("debug", "info"))
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream or sys.stderr),
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.processors.format_exc_info],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    logging.basicConfig(
        handlers=[handler], level=max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]), force=True
    )


def logger() -> FilteringBoundLogger:
    log: FilteringBoundLogger = structlog.get_logger()
    return log


def request_line(
    method: str, route: str, status: int, seconds: float, request_id: str, more: Mapping[str, str | float] | None = None
) -> None:
    """The line of one answered request and what `more` is to be told of it, as structlog would write it, at a tenth of
    the time."""
    if not _requests["said"]:
        return
    line = {
        "service": _requests["service"],
        "method": method,
        "route": route,
        "status": status,
        "ms": round(seconds * 1000, 2),
        "event": "request",
        "request_id": request_id,
        "level": "info",
        "timestamp": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
    }
    stream = _requests["stream"] or sys.stderr
    stream.write(json.dumps(line | dict(more) if more else line) + "\n")
    stream.flush()
