"""Arguments of a wrong kind are refused where a refresher is made, by name, and without showing a secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from refresher_kit import Site, brought

from rxauth import oauth2, simplejwt

URL = "https://a.example/x"
both = pytest.mark.parametrize("make", [simplejwt, oauth2], ids=["simplejwt", "oauth2"])


@both
@pytest.mark.parametrize(
    "transport",
    [httpx.AsyncHTTPTransport(), httpx.Client(), httpx.HTTPTransport, "proxy"],
    ids=["async", "client", "class", "text"],
)
def test_a_transport_that_is_async_or_is_none(make: Callable[..., Any], transport: Any) -> None:
    with pytest.raises(TypeError, match=r"transport must be a sync one such as httpx.HTTPTransport\(\)"):
        make(URL, transport=transport)


@both
@pytest.mark.parametrize(
    "name", ["refresh_field", "under", "access_key", "refresh_key", "expires_key", "refresh_expires_key"]
)
def test_a_name_in_the_answer_or_the_request_that_is_no_text(make: Callable[..., Any], name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} must be a str, got list"):
        make(URL, **{name: ["data", "tokens"]})
    assert make(URL, **{name: None})


@both
@pytest.mark.parametrize("credentials", [("ada", "hunter2"), "hunter2", 5])
def test_credentials_that_are_neither_a_mapping_nor_a_function(make: Callable[..., Any], credentials: Any) -> None:
    with pytest.raises(TypeError, match="credentials must be a mapping or a function, got") as caught:
        make(URL, credentials=credentials)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["client_id", "client_secret", "scope"])
def test_what_the_client_says_of_itself_is_text(name: str) -> None:
    given: dict[str, Any] = {"client_id": "app", "client_secret": "s", name: 1234}
    with pytest.raises(TypeError, match=f"{name} must be a str, got int") as caught:
        oauth2(URL, **given)
    assert "1234" not in str(caught.value)


@pytest.mark.parametrize("name", ["login_path", "refresh_path", "logout_path"])
def test_a_path_is_text(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} must be a str, got URL"):
        simplejwt(URL, **{name: httpx.URL("/token/")})  # type: ignore[arg-type]


@both
@pytest.mark.parametrize("url", [None, 5, b"https://a.example"])
def test_an_address_that_is_no_text(make: Callable[..., Any], url: Any) -> None:
    with pytest.raises(TypeError, match=f"expected a URL such as 'https://.*, got {type(url).__name__}"):
        make(url)


@both
def test_an_address_may_be_an_httpx_url(endpoint: Site, make: Callable[..., Any]) -> None:
    assert brought(make(httpx.URL(endpoint.url))).access == "new-access"
    with pytest.raises(ValueError, match="expected an absolute URL"):
        make(httpx.URL("/token"))


def test_a_logout_address_may_be_one_too() -> None:
    assert oauth2(URL, logout_url=httpx.URL("https://a.example/revoke"))


@pytest.mark.parametrize("url", ["https://a.example?tenant=1", "https://a.example/#top"])
def test_what_would_end_up_between_the_address_and_its_paths(url: str) -> None:
    with pytest.raises(ValueError, match=r"a query belongs to them: login_path='/api/token/\?tenant=1'"):
        simplejwt(url)
    assert oauth2(url).origins == ("https://a.example",)
