"""Access tokens: HS256 JWTs of a few minutes; they name a user and a session, the database knows the rest. Their header
names the key, so that a new one can take over while tokens of the one before still live."""

import hashlib
import secrets
import time
from dataclasses import dataclass

import jwt

from meteo.errors import NotAuthenticated

_ISSUER = "rain-tomorrow-gateway"
_AUDIENCE = "rain-tomorrow"
_HEADER = {"alg": "HS256", "typ": "at+jwt"}
_REQUIRED = ["exp", "iat", "nbf", "iss", "aud", "sub", "jti", "sid"]
_LEEWAY_SECONDS = 30
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

    def issue(self, username: str, session: str) -> str:
        now = int(time.time())
        body = {
            "sub": username, "sid": session, "jti": secrets.token_hex(16), "iat": now, "nbf": now,
            "exp": now + self.seconds, "iss": _ISSUER, "aud": _AUDIENCE,
        }  # fmt: skip
        return jwt.encode(body, self._secrets[self._key], algorithm="HS256", headers=_HEADER | {"kid": self._key})

    def read(self, token: str) -> Claims:
        """The claims of a token of ours that is valid now; NotAuthenticated says the same of every defect."""
        try:
            header = jwt.get_unverified_header(token)
            key = header.pop("kid", self._key)
            if header != _HEADER or key not in self._secrets:
                raise NotAuthenticated(REFUSAL)
            body = jwt.decode(
                token, self._secrets[key], algorithms=["HS256"], issuer=_ISSUER, audience=_AUDIENCE,
                leeway=_LEEWAY_SECONDS, options={"require": _REQUIRED, "strict_aud": True},
            )  # fmt: skip
            if not isinstance(body["sid"], str):
                raise NotAuthenticated(REFUSAL)
        except jwt.PyJWTError:
            raise NotAuthenticated(REFUSAL) from None
        return Claims(body["sub"], body["sid"], body["exp"] + _LEEWAY_SECONDS)


def _name(secret: str) -> str:
    """What a key is called in headers; nothing of the key can be told from it."""
    return hashlib.sha256(b"key id of " + secret.encode()).hexdigest()[:12]
