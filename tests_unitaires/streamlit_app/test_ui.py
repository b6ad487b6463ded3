import pytest
from streamlit.testing.v1 import AppTest

from streamlit_app.ui import plain


@pytest.mark.parametrize(
    "text",
    [
        "![x](https://evil.example/p.png)",
        "[a](javascript:alert(1))",
        "**bold** _it_ `code` $x$ :red[y] # h",
        "a|b ~c~ <b>",
    ],
)
def test_markdown_makes_nothing_of_others_text(text: str) -> None:
    shown = plain(text)
    assert shown.replace("\\", "") == text
    for sign in "![(*_`$:#|~<":
        assert f"\\{sign}" in shown or sign not in text


def _error_page() -> None:
    from meteo.errors import Unavailable
    from streamlit_app.ui import show_errors

    with show_errors():
        raise Unavailable("the gateway does not answer (request abc)")


def test_an_error_says_what_failed_whether_data_are_safe_what_to_do_and_the_request() -> None:
    (said,) = AppTest.from_function(_error_page).run().error
    assert "does not answer" in said.value
    assert "stored data are safe" in said.value
    assert "Try again" in said.value
    assert "request abc" in said.value
