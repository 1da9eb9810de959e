"""What the text of a failed refresh, login or logout says: where, what, and what to do, in keywords that there are."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest
from refresher_kit import ACCESS, HTML, REFRESH, SPENT, Reply, Site, failed

from rxauth import Session, Tokens, oauth2, simplejwt
from rxauth.errors import LoginFailed, RefreshMisconfigured, RefreshRefused, RefreshUnavailable
from rxauth.refreshers.failures import failure_of
from rxauth.refreshers.said import is_csrf
from rxauth.testing import TokenServer

BASE = "https://user:hunter2@auth.example.com"
REFRESH_AT, LOGIN_AT = "https://auth.example.com/api/token/refresh/", "https://auth.example.com/api/token/"
TOKEN_AT = "https://auth.example.com/token"
SECRETS = (ACCESS, REFRESH, "hunter2", "sesame", "lovelace-53cret", "client-53cret")

DJANGO = (
    b"<html><head><style>p { color: red }</style></head><body><h1>Forbidden <span>(403)</span></h1>"
    b"<p>CSRF verification failed. Request aborted.</p></body></html>"
)
CSRF: list[tuple[int, Any]] = [
    (403, DJANGO),
    (403, {"detail": "CSRF Failed: CSRF token missing."}),
    (403, {"detail": "CSRF Failed: Referer checking failed - no Referer."}),
    (403, {"error": "CSRF token mismatch"}),
    (401, {"msg": "Missing CSRF token"}),
    (401, {"msg": "CSRF double submit tokens do not match"}),
    (400, b"<!doctype html><title>400 Bad Request</title><p>The CSRF token is missing.</p>"),
    (400, {"errors": [{"message": "400 Bad Request: The CSRF session token is missing."}]}),
    (422, {"error": "Can't verify CSRF token authenticity."}),
    (419, {"message": "CSRF token mismatch."}),
    (403, {"status": 403, "error": "Forbidden", "message": "Invalid CSRF Token 'null' was found on the request."}),
    (403, b"invalid csrf token"),
    (403, {"code": "EBADCSRFTOKEN", "message": "invalid csrf token"}),
    (403, {"code": "MISSING_OR_NULL_ORIGIN", "message": "Missing or null Origin"}),
    (403, {"message": "Invalid origin"}),
    (401, {"error": "the token of the header is not the anti-forgery token"}),
    (403, {"code": "XSRF_INVALID"}),
]
NO_CSRF: list[tuple[int, Any]] = [
    (403, b'<form><input type="hidden" name="csrfmiddlewaretoken" value="x"></form><p>Please sign in</p>'),
    (403, b'<head><meta name="csrf-token" content="x"><script>window.csrf = 1</script></head><p>No</p>'),
    (403, b"<script>csrf"),
    (401, {"detail": "no"}),
    (403, {"detail": "original"}),
    (403, b""),
]

#: (status, body): what each refresher is told of the three addresses.
ANSWERS: list[tuple[int, Any]] = [
    *CSRF,
    *NO_CSRF,
    *(
        (status, b"")
        for status in (300, 301, 302, 307, 308, 400, 401, 403, 404, 405, 406, 409, 410, 415, 418, 422, 429)
    ),
    *((status, HTML) for status in (400, 401, 403, 404, 405, 500, 502, 503)),
    *((status, {}) for status in (400, 401, 403, 404, 422)),
    *((status, {"error": code}) for status in (200, 400, 401, 403) for code in ("invalid_client", "invalid_request")),
    *((status, {"error": code}) for status in (400, 401, 429) for code in ("access_denied", "slow_down", "odd_code")),
    (400, {"error": "invalid_grant", "error_description": f"{REFRESH} sesame"}),
    (400, {"error": "invalid_scope"}),
    (400, {"error": "unsupported_grant_type"}),
    (400, {"refresh": ["This field is required."]}),
    (400, {"username": ["sesame"], "password": ["This field is required."]}),
    (401, {"detail": "Authentication credentials were not provided."}),
    (422, {"detail": [{"loc": ["body", "refresh"], "msg": "sesame"}]}),
    (400, {REFRESH: ["sesame"], "lovelace-53cret": ["x"]}),
    (200, b"sesame"),
    (200, {"data": {"access": "sesame"}}),
    (200, {"access": "Bearer sesame"}),
    (200, {"access": "sesame", "refresh": 7}),
    (200, {"access": "sesame", "token_type": "DPoP"}),
]


def id_of(value: Any) -> str:
    return str(value)[:40]


class Answering(httpx.BaseTransport):
    def __init__(self, status: int, body: Any) -> None:
        self.reply = Reply(body, status)
        self.seen: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.seen.append(request)
        location = {"location": "https://elsewhere.example/?sesame"}
        return httpx.Response(self.reply.status, headers=location, content=self.reply.content)


def both_kinds(transport: httpx.BaseTransport, **options: Any) -> dict[str, Any]:
    oauth = oauth2(f"{BASE}/token?key=sesame", client_id="app", client_secret="client-53cret", transport=transport)
    return {"simplejwt": simplejwt(BASE, transport=transport, **options), "oauth2": oauth}


@pytest.mark.parametrize("kind", ["simplejwt", "oauth2"])
@pytest.mark.parametrize(("status", "body"), ANSWERS, ids=id_of)
def test_every_text_is_one_clear_sentence_with_the_address_and_without_a_secret(
    kind: str, status: int, body: Any
) -> None:
    refresher = both_kinds(Answering(status, body))[kind]
    texts = {
        "refresh": str(failed(refresher).error),
        "login": str(failed(lambda _: refresher.login(username="ada", password="lovelace-53cret")).error),
    }
    for what, text in texts.items():
        assert [secret for secret in SECRETS if secret in text] == []
        assert "elsewhere.example" not in text
        where = TOKEN_AT if kind == "oauth2" else LOGIN_AT if what == "login" else REFRESH_AT
        assert where in text, text
        assert str(status) in text or status == 200
        assert len(text) < 400
        assert "\n" not in text
        foreign = ("login_path", "refresh_path") if kind == "oauth2" else ("client_id", "client_secret", "token_url")
        assert [keyword for keyword in foreign if keyword in text] == [], text
        if what == "login":
            assert "final=" not in text
            assert "refresh token" not in text or status == 200, text


@pytest.mark.parametrize(("status", "body"), CSRF, ids=id_of)
def test_a_csrf_failure_names_the_header_and_never_suggests_to_sign_out(status: int, body: Any) -> None:
    refresher = simplejwt("https://a.example", transport=Answering(status, body))
    failure = failed(refresher)
    assert failure.kind in ("transient", "misconfigured")
    text = str(failure.error)
    assert "CSRF" in text
    assert "headers=" in text
    assert "final" not in text
    login = failed(lambda _: refresher.login(username="ada", password="x"))
    assert login.kind == "misconfigured"
    assert "headers=" in str(login.error)
    assert "credentials" not in str(login.error)


@pytest.mark.parametrize(("status", "body"), NO_CSRF, ids=id_of)
def test_a_page_with_a_csrf_token_in_its_form_is_no_csrf_failure(status: int, body: Any) -> None:
    failure = failed(simplejwt("https://a.example", transport=Answering(status, body)))
    assert "CSRF" not in str(failure.error)
    assert f"final=[{status}]" in str(failure.error)


@pytest.mark.parametrize("piece", [b"<", b"<script", b"</script", b"<!--", b"<style><", b"csr", b"<p "])
def test_a_page_that_is_made_to_take_time_takes_none(piece: bytes) -> None:
    """Each byte is looked at a bounded number of times: half a second would be the quadratic way."""
    assert not is_csrf(piece * 20_000, None)


def test_a_login_page_that_is_no_csrf_failure_still_speaks_of_the_credentials() -> None:
    refresher = simplejwt("https://a.example", transport=Answering(403, NO_CSRF[0][1]))
    assert "credentials" in str(failed(lambda _: refresher.login(username="ada")).error)


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(
    "body", [{}, {"refresh": ["This field is required."]}, {"msg": "no"}, {"error": "something_else"}]
)
def test_a_json_400_without_a_code_names_final(status: int, body: Any) -> None:
    text = str(failed(simplejwt("https://a.example", transport=Answering(status, body))).error)
    assert f"say final=[{status}]" in text
    assert "send=, refresh_field=" in text


COMPLAINTS: list[tuple[Any, str]] = [
    ({"refresh": ["This field is required."]}, "the field 'refresh'"),
    ({"refresh": ["required"], "device": ["required"]}, "the fields 'refresh', 'device'"),
    ({"refresh": [{"message": "sesame", "code": "required"}]}, "the field 'refresh'"),
    ({"client": {"id": ["required"]}}, "the field 'client.id'"),
    ({"errors": {"refresh": ["required"]}}, "the field 'refresh'"),
    ({"errors": {"Refresh": "The Refresh field is required."}, "title": "One or more"}, "the field 'Refresh'"),
    ({"data": {"refresh": ["required"]}}, "the field 'refresh'"),
    ({"message": {"refresh": ["required"]}}, "the field 'refresh'"),
    ({"detail": [{"loc": ["body", "refresh"], "msg": "sesame", "type": "missing"}]}, "the field 'refresh'"),
    ({"detail": [{"loc": ["body", "client", "id"], "msg": "m"}]}, "the field 'client.id'"),
    ({"errors": [{"field": "refresh", "message": "sesame"}]}, "the field 'refresh'"),
    ({"errors": [{"param": "refresh", "code": "required", "message": "sesame"}]}, "the field 'refresh'"),
    ({"errors": [{"source": {"pointer": "/data/attributes/refresh"}, "detail": "sesame"}]}, "the field 'refresh'"),
    ({"issues": [{"path": ["refresh"], "message": "Required"}]}, "the field 'refresh'"),
    ({name: ["required"] for name in "abcdefg"}, "the fields 'a', 'b', 'c', 'd', 'e':"),
]


@pytest.mark.parametrize(("body", "named"), COMPLAINTS, ids=id_of)
def test_a_400_names_the_fields_that_the_server_complained_about(body: Any, named: str) -> None:
    text = str(failed(simplejwt("https://a.example", transport=Answering(400, body))).error)
    assert f"complains about {named}" in text
    assert "sesame" not in text
    assert "required" not in text


@pytest.mark.parametrize(
    "body",
    [
        {"non_field_errors": ["no"]},
        {"error": "odd", "error_description": "sesame"},
        {"detail": "no"},
        {"errors": ["sesame"]},
        {"message": ["sesame must be a string"], "statusCode": 400},
        {REFRESH: ["no"]},
        {"x" * 41: ["no"]},
        {"a b": ["no"], "": ["no"], "ключ": ["no"], "<b>": ["no"]},
        {"abcdef0123456789abcdef0123": ["no"]},
        {"refresh": []},
        {"refresh": 7, "count": None},
        {"a": {"a": {"a": {"a": {"a": ["no"]}}}}},
    ],
    ids=id_of,
)
def test_what_is_no_field_or_may_be_a_secret_is_not_named(body: Any) -> None:
    text = str(failed(simplejwt("https://a.example", transport=Answering(400, body))).error)
    assert "complains" not in text
    assert "sesame" not in text


def test_a_login_with_wrong_fields_names_them_too() -> None:
    body = {"username": ["This field is required."], "lovelace": ["no such field"], "non_field_errors": ["x"]}
    session: Session[Any] = Session(simplejwt("https://a.example", transport=Answering(400, body)))
    with pytest.raises(
        LoginFailed, match=r"\(400\) at https://a.example/api/token/ and .* field 'username'; check what"
    ) as caught:
        session.login(email="ada", password="lovelace").run()
    assert "lovelace" not in str(caught.value), "what was sent is not repeated"


# -- wrong addresses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "base"),
    [
        (f"{LOGIN_AT}", "https://auth.example.com"),
        ("https://auth.example.com/api/token", "https://auth.example.com"),
        (REFRESH_AT, "https://auth.example.com"),
        ("https://auth.example.com/v1/api/token/refresh", "https://auth.example.com/v1"),
        ("https://app:hunter2@auth.example.com/api/token/", "https://auth.example.com"),
    ],
)
def test_a_url_that_ends_in_the_refreshers_own_path_is_refused_with_the_one_to_give(url: str, base: str) -> None:
    with pytest.raises(ValueError, match=rf"the server's address alone, simplejwt\('{base}'\)") as caught:
        simplejwt(url)
    assert "hunter2" not in str(caught.value)


def test_so_is_one_that_ends_in_a_path_of_your_own() -> None:
    for keyword in ("login_path", "refresh_path", "logout_path"):
        with pytest.raises(ValueError, match=f"ends in {keyword} already"):
            simplejwt("https://a.example/auth/x/", **{keyword: "/auth/x/?v=2"})  # type: ignore[arg-type]
    assert simplejwt("https://a.example/auth", login_path="/", refresh_path="/r")
    assert simplejwt("https://a.example/my/token")


@pytest.mark.parametrize("path", ["/api/login/", "/api/token", "/login", "/api/me/", "/"])
def test_a_login_at_a_wrong_address_does_not_look_like_a_wrong_password(path: str) -> None:
    with TokenServer() as server:
        session: Session[Any] = Session(simplejwt(server.url, login_path=path))
        with pytest.raises(LoginFailed) as caught:
            session.login(username=server.user, password=server.password).run()
        assert f"no login at this address {server.url}{path}" in str(caught.value)
        assert caught.value.status_code in (404, 405)
        assert "login_path=" in str(caught.value)
        assert "credentials" not in str(caught.value)
        assert server.logins == 0


def test_a_refresh_at_a_wrong_address_names_it() -> None:
    with TokenServer() as server:
        stale = Tokens("a", "r", expires_at=1.0)
        session = Session(simplejwt(server.url, refresh_path="/refresh/"), tokens=stale)
        with pytest.raises(RefreshMisconfigured, match=r"404 \(at .*\): .*refresh_path=") as caught:
            session.fresh().run()
        assert f"{server.url}/refresh/" in str(caught.value)
        assert caught.value.status_code == 404
        assert session.auth.tokens is not None


def test_a_login_at_an_address_of_the_api_does_not_look_like_a_wrong_password_either() -> None:
    for body in ({"detail": "Authentication credentials were not provided."}, {"msg": "Missing Authorization Header"}):
        with pytest.raises(RefreshMisconfigured, match="wants a token"):
            simplejwt("https://a.example", transport=Answering(401, body)).login(username="ada")


# -- functions of the user's -------------------------------------------------------------------------------------------


def raising(status: int, body: Any) -> Any:
    def refresh(tokens: Tokens) -> Any:
        request = httpx.Request("POST", "https://user:hunter2@a.example/t?sesame", json={"rt": tokens.refresh})
        return httpx.Response(status, content=Reply(body).content, request=request).raise_for_status()

    return refresh


@pytest.mark.parametrize(("status", "body"), [one for one in ANSWERS if one[0] >= 300], ids=id_of)
def test_a_function_is_told_of_no_keyword_that_it_does_not_have(status: int, body: Any) -> None:
    failure = failed(raising(status, body))
    text = str(failure.error)
    assert "=" not in text, text
    assert "https://a.example/t" in text
    assert [secret for secret in SECRETS if secret in text] == []
    if "must sign in again" in text:
        assert "raise RefreshRefused" in text


def test_a_function_that_returns_an_object_without_a_token_is_told_what_to_return() -> None:
    session = Session(lambda tokens: {"jwt": "sesame"}, tokens=Tokens("a", "r", expires_at=1.0))
    with pytest.raises(RefreshUnavailable) as caught:
        session.fresh().run()
    assert "['jwt']" in str(caught.value)
    assert "return Tokens(access, refresh)" in str(caught.value)
    assert "=" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "said", "transient"),
    [
        (401, {"detail": "No active account found"}, "refused the credentials (401)", False),
        (404, b"", "no login at this address https://a.example/in (status 404)", False),
        (503, b"", "answered 503 (at https://a.example/in)", True),
    ],
)
def test_a_login_of_ones_own_that_raises_for_status(status: int, body: Any, said: str, transient: bool) -> None:
    class Own:
        def __call__(self, tokens: Tokens) -> Any:
            raise AssertionError

        def login(self, **credentials: Any) -> Any:
            request = httpx.Request("POST", "https://a.example/in")
            httpx.Response(status, content=Reply(body).content, request=request).raise_for_status()

    session: Session[Any] = Session(Own())
    with pytest.raises(LoginFailed) as caught:
        session.login(username="ada").run()
    assert said in str(caught.value)
    assert "=" not in str(caught.value)
    assert (caught.value.transient, caught.value.status_code) == (transient, status)


# -- logouts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 405, 500, 503])
def test_a_logout_that_is_refused_says_where_and_which_keywords(
    endpoint: Site, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    for make, url, named in ((simplejwt, endpoint.url, "logout_path"), (oauth2, f"{endpoint.url}/token", "logout_url")):
        out = (
            {"logout_path": "/out/?key=sesame"} if make is simplejwt else {"logout_url": f"{endpoint.url}/out/?sesame"}
        )
        endpoint.say({"detail": REFRESH}, status)
        caplog.clear()
        with caplog.at_level(logging.WARNING, "rxauth"):
            Session(make(url, **out), tokens=SPENT).logout().run()  # type: ignore[operator]
        text = caplog.messages[0]
        assert f"it answered {status} at {endpoint.url}/out/" in text
        assert (f"{named}=" in text) is (status < 500)
        assert [secret for secret in SECRETS if secret in text] == []


@pytest.mark.parametrize("error", [RefreshRefused, RefreshMisconfigured, RefreshUnavailable])
def test_what_a_function_itself_says_is_left_as_it_is(error: type[Exception]) -> None:
    assert str(failure_of(error("mine, final=[1]")).error) == "mine, final=[1]"
