import jwt
import pytest

from gateway.tokens import AccessTokens
from meteo.errors import NotAuthenticated

OLD, NEW, OTHER = "o" * 32, "n" * 32, "x" * 32


def test_while_a_new_key_takes_over_tokens_of_the_old_one_are_good() -> None:
    before, meanwhile, after = AccessTokens(OLD, 15), AccessTokens(NEW, 15, OLD), AccessTokens(NEW, 15)
    old = before.issue("ann", "session-1")
    assert (meanwhile.read(old).username, meanwhile.read(old).session) == ("ann", "session-1")
    new = meanwhile.issue("ann", "session-1")
    assert after.read(new).session == "session-1"
    for token, reader in ((old, after), (new, before)):
        with pytest.raises(NotAuthenticated):
            reader.read(token)


def test_a_header_names_the_key_and_tells_nothing_of_it() -> None:
    header = jwt.get_unverified_header(AccessTokens(NEW, 15, OLD).issue("ann", "s"))
    assert header == {"alg": "HS256", "typ": "at+jwt", "kid": header["kid"]}
    assert len(header["kid"]) == 12
    assert NEW not in header["kid"]


def test_a_token_must_be_signed_by_the_key_that_it_names() -> None:
    tokens = AccessTokens(NEW, 15, OLD)
    body = jwt.decode(tokens.issue("ann", "s"), options={"verify_signature": False})
    names = [jwt.get_unverified_header(AccessTokens(secret, 15).issue("ann", "s"))["kid"] for secret in (OLD, NEW)]
    good = jwt.encode(body, NEW, headers={"typ": "at+jwt", "kid": names[1]})
    assert tokens.read(good).username == "ann"
    for secret, header in (
        (NEW, {"kid": names[0]}), (OLD, {"kid": names[1]}), (OTHER, {"kid": names[1]}), (NEW, {"kid": "other"}),
        (OLD, {}), (NEW, {"kid": names[1], "jku": "https://evil.example"}),
    ):  # fmt: skip
        with pytest.raises(NotAuthenticated):
            tokens.read(jwt.encode(body, secret, headers={"typ": "at+jwt", **header}))
