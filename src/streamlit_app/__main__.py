"""`python -m streamlit_app`: serve the console."""

from meteo.runtime import logs
from meteo.runtime.database import SERVICE, connect
from meteo.runtime.private_files import keep_private
from meteo.runtime.settings import Settings
from streamlit_app.app import create_app
from streamlit_app.client import Gateway
from streamlit_app.context import AppContext
from streamlit_app.drafts import Drafts
from streamlit_app.session import ConsoleSessions


def main() -> None:
    settings = Settings()
    keep_private(settings.home)
    logs.configure("console", settings.log_level)
    gateway = Gateway(settings.gateway.address)
    engine = connect(f"sqlite:///{settings.home / 'console.db'}", SERVICE)
    sessions = ConsoleSessions(engine, gateway, settings.console.idle_minutes)
    context = AppContext(gateway, sessions, Drafts(engine), links=settings.console.links)
    context.metrics.serve(settings.console.host, settings.console.metrics_port, sessions.count)
    app = create_app(context, settings.console.url)
    app.run(
        config={
            "server.address": settings.console.host,
            "server.port": settings.console.port,
            "server.headless": True,
            "server.corsAllowedOrigins": [settings.console.url] if settings.console.url else [],
            "server.fileWatcherType": "none",
            "server.maxUploadSize": 10,
            "browser.gatherUsageStats": False,
            "client.showErrorDetails": "none",
            "client.showErrorLinks": False,
            "client.toolbarMode": "minimal",
            "theme.headingFontSizes": ["2.1rem", "1.35rem", "1.15rem"],
            "theme.metricValueFontSize": "3.5rem",
            "theme.light.primaryColor": "#0b6aa2",
            "theme.light.textColor": "#0c1319",
            "theme.light.codeTextColor": "#0b5132",
            "theme.dark.primaryColor": "#2474a8",
        }
    )


if __name__ == "__main__":
    main()
