"""The model API without its prediction log, and beside it an endpoint that only parses and returns: what the product
never serves, to measure what the log and the prediction cost."""

import json
from collections.abc import Sequence

from fastapi import Request
from fastapi.responses import Response

from api_model.__main__ import application, serve
from meteo.forecasts.prediction_log import Done, PredictionLog, Record
from meteo.http.requests import read_json, request_id
from meteo.runtime import logs
from meteo.runtime.database import connect
from meteo.runtime.settings import Settings
from meteo.schemas.forecasts import PredictRequest


class Unlogged(PredictionLog):
    def now(self, records: Sequence[Record]) -> bool:
        return True

    def put(self, records: Sequence[Record], done: Done) -> None:
        done(None)


async def parse(request: Request) -> Response:
    asked = await read_json(request, PredictRequest)
    answer = {"station": asked.station, "probability": 0.5, "request_id": request_id(request)}
    return Response(json.dumps(answer), media_type="application/json")


if __name__ == "__main__":
    settings = Settings()
    logs.configure("api_model", settings.log_level)
    app = application(settings, Unlogged(connect(settings.predictions_url)))
    app.add_route("/parse", parse, methods=["POST"])
    serve(app, settings)
