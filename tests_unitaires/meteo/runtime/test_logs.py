import io
import json
import logging

import structlog

from meteo.runtime import logs


def test_every_line_is_json_with_service_and_request_id() -> None:
    stream = io.StringIO()
    logs.configure("gateway", "info", stream)
    structlog.contextvars.bind_contextvars(request_id="abc")
    logs.logger().info("request", status=200)
    logging.getLogger("a library").warning("careful\nnext line")
    logs.logger().debug("not said at info")
    structlog.contextvars.clear_contextvars()
    ours, theirs = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (ours["service"], ours["request_id"], ours["event"], ours["status"]) == ("gateway", "abc", "request", 200)
    assert (theirs["event"], theirs["level"]) == ("careful\nnext line", "warning")
