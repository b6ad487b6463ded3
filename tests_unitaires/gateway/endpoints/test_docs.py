"""The page of the API's document needs nobody but the gateway."""

import re

import httpx
import pytest

FOREIGN = re.compile(r"(?:src|href|url\()\s*=?\s*[\"']?(?:https?:)?//")


def test_the_page_and_all_it_needs_come_from_the_gateway(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    needed = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(needed) == 4
    assert not FOREIGN.search(page.text)
    assert re.findall(r"<script(?![^>]*\ssrc=)", page.text) == [], "no script in the page itself"
    for name in needed:
        answer = client.get(f"/{name}")
        assert answer.status_code == 200, name
        assert len(answer.content) > 50
        assert not (name.endswith(".css") and FOREIGN.search(answer.text))
    assert client.get("/openapi.json").json()["paths"]


def test_its_policy_lets_no_other_host_and_no_inline_script_in(client: httpx.Client) -> None:
    policy = dict(part.split(" ", 1) for part in client.get("/docs").headers["content-security-policy"].split("; "))
    assert (policy["default-src"], policy["script-src"], policy["connect-src"]) == ("'none'", "'self'", "'self'")
    assert not any("http" in sources or "*" in sources for sources in policy.values())


@pytest.mark.parametrize(
    "path", ["/redoc", "/docs/main.py", "/docs/__init__.py", "/docs/..%2fmain.py", "/docs/oauth2-redirect"]
)
def test_there_is_nothing_else(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404
