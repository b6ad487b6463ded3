"""The one error tree: a caller acts on the type, a person on the sentence.

MeteoError
├── InvalidInput            what was given cannot be right          422
│   ├── UnknownStation
│   ├── UnreadableFile
│   └── MixedSources
├── NotAuthenticated                                                401
├── NotAllowed                                                      403
├── NotFound                                                        404
├── Conflict                it would collide with what is running   409
├── TooSlow                 the body of a request did not come in time  408
├── TooLarge                more than is taken in at once            413
├── WrongKind               a body of another media type or coding   415
├── TooManyRequests         asked too often; there is room again later  429
├── NotEnoughData           a job cannot do its work on this        422
├── UpstreamFailed          a service answered nonsense             502
└── Unavailable             a service is away; try again later      503
"""

from collections.abc import Sequence


class MeteoError(Exception):
    """Root of what this product raises on purpose; `status` is the HTTP status that says it."""

    status = 500
    title = "Internal error"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class InvalidInput(MeteoError):
    """`fields` pairs each offending field with what would be right."""

    status = 422
    title = "Invalid input"

    def __init__(self, detail: str, fields: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(detail)
        self.fields = tuple(fields)


class UnknownStation(InvalidInput):
    def __init__(self, name: str, nearest: Sequence[str]) -> None:
        hint = f"nearest known: {', '.join(nearest)}" if nearest else "GET /stations lists the known ones"
        sentence = f"no station is called {name[:64]!a}; {hint}"
        super().__init__(sentence, [("station", sentence)])
        self.nearest = tuple(nearest)


class UnreadableFile(InvalidInput):
    """A source file that is not what it should be; nothing of it was stored."""


class MixedSources(InvalidInput):
    """Simulated and real observations would meet in one store."""


class NotAuthenticated(MeteoError):
    status = 401
    title = "Not authenticated"


class NotAllowed(MeteoError):
    status = 403
    title = "Not allowed"


class NotFound(MeteoError):
    status = 404
    title = "Not found"


class Conflict(MeteoError):
    status = 409
    title = "Conflict"


class TooSlow(MeteoError):
    status = 408
    title = "Too slow"


class TooLarge(MeteoError):
    status = 413
    title = "Too large"


class WrongKind(MeteoError):
    status = 415
    title = "Unsupported media type"


class TooManyRequests(MeteoError):
    """More than the `limit` that is allowed; `retry_after` seconds from now there is room."""

    status = 429
    title = "Too many requests"

    def __init__(self, detail: str, retry_after: int, limit: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        self.limit = limit


class NotEnoughData(MeteoError):
    status = 422
    title = "Not enough data"


class UpstreamFailed(MeteoError):
    status = 502
    title = "Upstream failed"


class Unavailable(MeteoError):
    """A dependency is away; `retry_after` seconds are a fair time to wait."""

    status = 503
    title = "Unavailable"

    def __init__(self, detail: str, retry_after: int = 5) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
