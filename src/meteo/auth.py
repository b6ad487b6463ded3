"""How services recognise each other: short-lived signed tokens that carry on whose behalf a call is made."""

from dataclasses import dataclass

from itsdangerous import BadSignature, URLSafeTimedSerializer

from meteo.errors import NotAuthenticated

_MAX_AGE_SECONDS = 120


@dataclass(frozen=True)
class Caller:
    """Who asks: the person's (or job's) name and role, and the service that vouches for it."""

    subject: str
    role: str
    service: str


class ServiceTokens:
    """Issues and checks the tokens that one service shows another."""

    def __init__(self, secret: str) -> None:
        self._serializer = URLSafeTimedSerializer(secret, salt="meteo.service-token")

    def issue(self, caller: Caller) -> str:
        return self._serializer.dumps([caller.subject, caller.role, caller.service])

    def caller(self, authorization: str | None) -> Caller:
        """The caller behind an `Authorization` header; NotAuthenticated with one same sentence for every defect."""
        scheme, _, token = (authorization or "").partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise BadSignature("no bearer token")
            subject, role, service = self._serializer.loads(token, max_age=_MAX_AGE_SECONDS)
        except (BadSignature, TypeError, ValueError):
            raise NotAuthenticated("a valid service token is required") from None
        return Caller(subject, role, service)
