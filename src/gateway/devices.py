"""Devices that somebody has logged in on before: strangers' guesses do not keep them out.

After a login the browser keeps a token that names the session which the login opened. It gives no right; the next login
with it is merely counted apart from those without (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").
A changed or reset password makes it void. Nothing is kept here: the token is signed, over the password's hash as well.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Sequence

SECONDS = 180 * 86_400
"""How long a device is known after its last login."""


class Devices:
    """Signs with the first of `keys`; takes what any of them has signed."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    def issue(self, username: str, password_hash: str, session: str) -> str:
        """The token of a device on which `username` has opened `session`."""
        until = int(time.time()) + SECONDS
        return f"{session}.{until}.{_mac(self._keys[0], username, password_hash, session, str(until))}"

    def session(self, token: str, username: str, password_hash: str) -> str | None:
        """The session that a token of ours names, if it is good for that account with its present password."""
        session, _, rest = token.partition(".")
        until, _, mac = rest.partition(".")
        macs = [_mac(key, username, password_hash, session, until) for key in self._keys]
        if not any(hmac.compare_digest(_bytes(mac), _bytes(own)) for own in macs) or int(until) < time.time():
            return None
        return session


def cookie(username: str) -> str:
    """The name of the cookie that holds the token: one for each account, for people who share a browser."""
    return f"device-{hashlib.sha256(_bytes(username)).hexdigest()[:16]}"


def _mac(key: bytes, *parts: str) -> str:
    return hmac.digest(key, json.dumps(parts).encode(), "sha256").hex()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
