"""How services recognise each other: short-lived signed tokens that carry on whose behalf a call is made."""

import time
from dataclasses import dataclass

from itsdangerous import BadSignature, URLSafeTimedSerializer

from meteo.errors import NotAuthenticated

_MAX_AGE_SECONDS = 120
_LEEWAY_SECONDS = 30
"""By so much may the clocks of two machines differ, in either direction."""
_MOST_KNOWN = 1000


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
        self._known: dict[str, tuple[float, Caller]] = {}
        self._issued: dict[Caller, tuple[float, str]] = {}

    def issue(self, caller: Caller) -> str:
        """A token for `caller`; the same one for a while, which spares both sides the signature."""
        now = time.time()
        until, token = self._issued.get(caller, (0.0, ""))
        if now >= until:
            token = self._serializer.dumps([caller.subject, caller.role, caller.service])
            if len(self._issued) >= _MOST_KNOWN:
                self._issued.clear()
            self._issued[caller] = (now + _MAX_AGE_SECONDS / 4, token)
        return token

    def caller(self, authorization: str | None) -> Caller:
        """The caller behind an `Authorization` header; NotAuthenticated with one same sentence for every defect.

        A token found good is known for as long as it is: a service that is asked often shows the same one again.
        """
        now = time.time()
        known = self._known.get(authorization or "")
        if known and now < known[0]:
            return known[1]
        scheme, _, token = (authorization or "").partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise BadSignature("no bearer token")
            content, signed = self._serializer.loads(token, return_timestamp=True)
            if not -_LEEWAY_SECONDS <= now - signed.timestamp() <= _MAX_AGE_SECONDS + _LEEWAY_SECONDS:
                raise BadSignature("of another time")
            bearer = Caller(*content)
        except (BadSignature, TypeError, ValueError):
            raise NotAuthenticated("a valid service token is required") from None
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[authorization or ""] = (signed.timestamp() + _MAX_AGE_SECONDS + _LEEWAY_SECONDS, bearer)
        return bearer
