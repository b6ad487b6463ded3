"""The model API without its prediction log, and beside it an endpoint that only parses and returns: what the product
never serves, to measure what the log and the prediction cost."""

import json
from collections.abc import Sequence

from fastapi import Request
from fastapi.responses import Response

from api_model.__main__ import application, serve
from meteo import logs, web
from meteo.contract import PredictRequest
from meteo.database import connect
from meteo.prediction_log import Done, PredictionLog, Record
from meteo.settings import Settings


class Unlogged(PredictionLog):
    def now(self, records: Sequence[Record]) -> bool:
        return True

    def put(self, records: Sequence[Record], done: Done) -> None:
        done(None)


async def parse(request: Request) -> Response:
    asked = await web.json_body(request, PredictRequest)
    answer = {"station": asked.station, "probability": 0.5, "request_id": web.request_id(request)}
    return Response(json.dumps(answer), media_type="application/json")


if __name__ == "__main__":
    settings = Settings()
    logs.configure("api_model", settings.log_level)
    app = application(settings, Unlogged(connect(settings.predictions_url)))
    app.add_route("/parse", parse, methods=["POST"])
    serve(app, settings)
