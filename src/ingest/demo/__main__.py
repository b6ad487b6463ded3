"""`python -m ingest.demo`: serve simulated months at the address of the setting ingest.demo_url."""

from urllib.parse import urlsplit

import typer
import uvicorn

from ingest.demo.app import Clock, create_app
from ingest.demo.climate import Climate
from ingest.demo.weather import Weather
from meteo.runtime import logs
from meteo.runtime.private_files import keep_private
from meteo.runtime.settings import Settings


def main(host: str = "") -> None:
    """Serve; `host` to listen on, by default that of the setting."""
    settings = Settings()
    keep_private(settings.home)
    logs.configure("demo", settings.log_level)
    address = urlsplit(settings.ingest.demo_url)
    app = create_app(Weather(Climate.load()), Clock(settings.ingest.demo_days_behind))
    uvicorn.run(
        app, host=host or address.hostname or "127.0.0.1", port=address.port or 80, log_config=None, access_log=False
    )


if __name__ == "__main__":
    typer.run(main)
