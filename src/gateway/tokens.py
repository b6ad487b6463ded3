"""Access tokens: HS256 JWTs of a few minutes; they name a user and a session, the database knows the rest. Their header
names the key, so that a new one can take over while tokens of the one before still live."""

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass

from jose import jwt
from jose.exceptions import JOSEError

from meteo.errors import NotAuthenticated

_ISSUER = "rain-tomorrow-gateway"
_AUDIENCE = "rain-tomorrow"
_HEADER = {"alg": "HS256", "typ": "at+jwt"}
_TEXTS, _TIMES = ("sub", "sid", "jti"), ("exp", "iat", "nbf")
_LEEWAY_SECONDS = 30
_OPTIONS = {"leeway": _LEEWAY_SECONDS} | {f"require_{name}": True for name in (*_TIMES, "iss", "aud", "sub", "jti")}
REFUSAL = "a valid access token is required"


@dataclass(frozen=True)
class Claims:
    """What a token says; `until` is when it ends, leeway included, in Unix seconds."""

    username: str
    session: str
    until: float


class AccessTokens:
    """Signs with `secret`; takes what `previous`, if any, has signed as well. A header that names no key means
    `secret`."""

    def __init__(self, secret: str, minutes: int, previous: str = "") -> None:
        self._key = _name(secret)
        self._secrets = {_name(one): one for one in (secret, previous) if one}
        self.seconds = minutes * 60

    def derived(self, purpose: str) -> list[bytes]:
        """Keys to sign something else with, the present one first."""
        return [hmac.digest(secret.encode(), purpose.encode(), "sha256") for secret in self._secrets.values()]

    def issue(self, username: str, session: str) -> str:
        now = int(time.time())
        body = {
            "sub": username,
            "sid": session,
            "jti": secrets.token_hex(16),
            "iat": now,
            "nbf": now,
            "exp": now + self.seconds,
            "iss": _ISSUER,
            "aud": _AUDIENCE,
        }
        return jwt.encode(body, self._secrets[self._key], "HS256", _HEADER | {"kid": self._key})

    def read(self, token: str) -> Claims:
        """The claims of a token of ours that is valid now; NotAuthenticated says the same of every defect.

        The library alone takes a header of more than ours, lets claims be absent, a list be an audience and text a
        time: what is checked beside its call is what it does not."""
        try:
            header = jwt.get_unverified_header(token)
            key = header.pop("kid", self._key)
            if header != _HEADER or key not in self._secrets:
                raise NotAuthenticated(REFUSAL)
            body = jwt.decode(
                token, self._secrets[key], algorithms=["HS256"], issuer=_ISSUER, audience=_AUDIENCE, options=_OPTIONS
            )
        except (JOSEError, ValueError, TypeError, ArithmeticError, RecursionError):
            raise NotAuthenticated(REFUSAL) from None
        texts, times = [body.get(name) for name in _TEXTS], [body[name] for name in _TIMES]
        if not all(isinstance(text, str) and text and text.isprintable() for text in texts):
            raise NotAuthenticated(REFUSAL)
        if not all(type(moment) in (int, float) for moment in times):  # a bool is an int to isinstance
            raise NotAuthenticated(REFUSAL)
        if body["aud"] != _AUDIENCE or body["iat"] > time.time() + _LEEWAY_SECONDS:
            raise NotAuthenticated(REFUSAL)
        return Claims(body["sub"], body["sid"], body["exp"] + _LEEWAY_SECONDS)


def _name(secret: str) -> str:
    """What a key is called in headers; nothing of the key can be told from it."""
    return hashlib.sha256(b"key id of " + secret.encode()).hexdigest()[:12]
