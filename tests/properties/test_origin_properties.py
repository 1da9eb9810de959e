"""Origins: a token goes where httpx would connect to the very scheme, host and port that were allowed."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from rxauth import BearerAuth, Session, Tokens
from rxauth.errors import OriginNotAllowed
from rxauth.refreshers.endpoint import origin_of
from rxauth.tokens.origins import Origins, is_safe, parse_origin, show

PORTS = {"http": 80, "https": 443}
#: A WebSocket connects where its HTTP handshake goes (RFC 6455 section 3).
HANDSHAKES = {"ws": "http", "wss": "https"}
LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True).filter(lambda label: label[2:4] != "--")
NAMES = st.lists(LABEL, min_size=1, max_size=3).map(".".join).filter(lambda name: not name[-1].isdigit())
IDN = st.sampled_from(["bücher.example", "例え.example", "straße.example", "api.bücher.example", "xn--bcher-kva.at"])
IPV4 = st.ip_addresses(v=4).map(str) | st.sampled_from(["127.0.0.1", "127.1", "0x7f.1"])
IPV6 = st.ip_addresses(v=6).map("[{}]".format) | st.sampled_from(
    ["[::1]", "[0::1]", "[::ffff:127.0.0.1]", "[fe80::1%25lo]"]
)
HOSTS = st.one_of(NAMES, NAMES.map("{}.".format), IDN, IPV4, IPV6)
SCHEMES = st.sampled_from(["http", "https"])
PLAIN = st.builds(
    "{}://{}{}".format, SCHEMES, HOSTS, st.sampled_from(["", ":80", ":443", ":8443", ":65535", ":0443", ":0", ":"])
)
#: What looks like `https://api.example.com`, behind its scheme, and pieces to make more of it.
TRICKS = [
    "@evil.example", ":443@evil.example", "%40evil.example", "\\.evil.example", "\\@evil.example", "#@evil.example",
    "?@evil.example", "/@evil.example", ".evil.example", "%2eevil.example", "%00.evil.example", ".", ":443", ":0443",
    ":", ":0", ":65536", ":99999", ":-1", ":４４３", ":443:443", ":80", ":8443", "。evil.example", "／evil.example",
]  # fmt: skip
DISGUISES = [
    "https://evil.example\\@api.example.com", "https://evil.example/https://api.example.com", "https:api.example.com",
    "https:/api.example.com", "https:///api.example.com", "//api.example.com", "HTTPS://API.EXAMPLE.COM",
    "https://api。example。com", "https://ａpi.example.com", "https://@api.example.com", "https://:@api.example.com",
    "https://user:pw@api.example.com", "http://api.example.com", "http://api.example.com:443", "ws://api.example.com",
    "wss://api.example.com", "wss://evil.example",
    "https://аpi.example.com", "https://xn--pi-7kc.example.com", "https://ap%69.example.com",
    "https://[api.example.com]", "https://xn--api-.example.com", "https://api..example.com", "https://.api.example.com",
    *[f"https://api.example.com{trick}" for trick in TRICKS],
]  # fmt: skip
PIECES = ["https", "HTTP", "http", "://", ":", "/", "//", "\\", "@", "?", "#", ".", "%40", "%2e", "%00", "\t", "\n",
          " ", "[", "]", "::1", "api", "example.com", "evil.example", "xn--bcher-kva", "bücher", "。", "443", "80", "0",
          "65536", "user"]  # fmt: skip
URLS = st.one_of(
    PLAIN, st.sampled_from(DISGUISES), st.lists(st.sampled_from(PIECES), max_size=9).map("".join), st.text(max_size=20)
)


def target(text: str) -> tuple[str, bytes, int]:
    """Where httpx connects to: scheme, host as it is resolved, port."""
    url = httpx.URL(text)
    assert url.host is not None  # raises where httpx's own client does
    scheme = HANDSHAKES.get(url.scheme, url.scheme)
    return scheme, url.raw_host, url.port or PORTS.get(scheme, 0)


def usable(text: str) -> bool:
    try:
        target(text)
    except (httpx.InvalidURL, ValueError):
        return False
    return True


def origins(*listed: str) -> Origins:
    return Origins((), listed)


@given(listed=URLS, url=URLS)
@example(listed="https://api.example.com", url="https://api.example.com@evil.example")
def test_a_url_is_allowed_only_where_httpx_connects_to_a_listed_origin(listed: str, url: str) -> None:
    assume(usable(url))
    try:
        known = origins(listed)
    except (ValueError, OriginNotAllowed):
        return
    if known.allow(httpx.URL(url)):
        assert target(url) == target(listed)
    else:
        assert isinstance(known.refuse(httpx.URL(url)), OriginNotAllowed)
        assert target(url) != target(listed)


@given(trick=st.sampled_from(DISGUISES), path=st.sampled_from(["", "/", "/api/me/?x=1#y"]))
def test_nothing_that_looks_like_an_origin_gets_its_token(trick: str, path: str) -> None:
    assume(usable(trick + path))
    same = target(trick + path) == ("https", b"api.example.com", 443)
    assert origins("https://api.example.com").allow(httpx.URL(trick + path)) == same


@given(text=URLS | st.text())
def test_what_is_no_origin_is_a_value_error(text: str) -> None:
    try:
        origin = parse_origin(text)
    except ValueError:
        return
    assert origin[0] in PORTS
    assert 0 < origin[2] < 65536
    assert is_safe(origin) in (True, False)
    assert "@" not in text  # nobody's name or password is part of an origin


@given(text=st.none() | st.integers() | st.binary() | st.lists(st.integers()))
def test_what_is_no_text_is_a_value_error(text: Any) -> None:
    with pytest.raises(ValueError, match="expected an origin"):
        parse_origin(text)


@given(
    scheme=SCHEMES,
    host=NAMES | NAMES.map("{}.".format) | IPV4,
    port=st.sampled_from(["", ":8443"]),
    cases=st.lists(st.booleans(), min_size=1, max_size=5),
)
def test_an_origin_is_the_same_in_any_case(scheme: str, host: str, port: str, cases: list[bool]) -> None:
    origin = f"{scheme}://{host}{port}"
    assume(usable(origin))
    mixed = "".join(char.upper() if cases[index % len(cases)] else char for index, char in enumerate(origin))
    assert parse_origin(mixed + "/") == parse_origin(origin)
    assert origins(mixed).allow(httpx.URL(origin + "/api/"))
    assert origins(origin).allow(httpx.URL(mixed + "/api/"))


@given(scheme=SCHEMES, host=HOSTS)
def test_the_default_port_need_not_be_written(scheme: str, host: str) -> None:
    assume(usable(f"{scheme}://{host}"))
    plain, written = f"{scheme}://{host}", f"{scheme}://{host}:{PORTS[scheme]}"
    assert parse_origin(plain) == parse_origin(written)
    assert origins(plain).allow(httpx.URL(written + "/"))
    assert not origins(plain).allow(httpx.URL(f"{scheme}://{host}:8444/"))
    other = "http" if scheme == "https" else "https"
    assert not origins(plain).allow(httpx.URL(f"{other}://{host}/"))


@given(
    name=NAMES,
    rest=st.sampled_from(["/", "/x", "/?q", "?q=1", "#f", "/#f", "?#"]),
    user=st.sampled_from(["", "u@", "u:p@", "@"]),
)
def test_the_origin_of_a_url_is_the_origin_listed(name: str, rest: str, user: str) -> None:
    url = f"https://{user}{name}:8443{rest}"
    assert parse_origin(origin_of(url)) == ("https", name, 8443)


@given(origin=PLAIN)
def test_an_origin_as_shown_is_that_origin(origin: str) -> None:
    assume(usable(origin))
    parsed = parse_origin(origin)
    assert parse_origin(show(parsed)) == parsed


@given(url=URLS, elsewhere=st.sampled_from(["refuse", "bare"]))
def test_no_other_server_ever_sees_the_token(url: str, elsewhere: Any) -> None:
    assume(usable(url) and httpx.URL(url).scheme in PORTS and httpx.URL(url).host)
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    auth = BearerAuth(SESSION, elsewhere=elsewhere)
    try:
        with httpx.Client(transport=httpx.MockTransport(answer), auth=auth) as client:
            client.get(url)
    except OriginNotAllowed:
        assert elsewhere == "refuse"
    else:
        ours = target(str(seen[0].url)) == ("https", b"api.example.com", 443)
        assert (seen[0].headers.get("authorization") == "Bearer s3cret-access") == ours


SESSION = Session(lambda tokens: tokens, tokens=Tokens("s3cret-access"), origins=["https://api.example.com"])
