"""A token endpoint that cannot be reached, or breaks off: the text names its address and the reason, and no secret."""

from __future__ import annotations

import datetime
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from refresher_kit import SPENT, Site, failed, nobody_listens

from rxauth import Session, Tokens, oauth2, simplejwt
from rxauth.errors import LoginFailed, RefreshUnavailable
from rxauth.refreshers.failures import failure_of
from rxauth.testing import TokenServer, faults

URL = "https://auth.example.com"


def url_of(make: Callable[..., Any], base: str) -> str:
    return f"{base}/api/token/refresh/" if make is simplejwt else f"{base}/oauth/token"


both = pytest.mark.parametrize("make", [simplejwt, oauth2], ids=["simplejwt", "oauth2"])


@both
def test_a_refused_connection(make: Any) -> None:
    with nobody_listens() as base:
        text = str(failed(make(base if make is simplejwt else f"{base}/oauth/token")).error)
        assert text == f"the token endpoint {url_of(make, base)}: connection refused"


def test_a_name_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    text = str(failed(simplejwt(URL)).error)
    assert text.startswith(f"the token endpoint {URL}/api/token/refresh/: the name of its host could not be resolved")
    assert "Name or service not known" in text


@contextmanager
def self_signed(folder: Path, host: str = "localhost") -> Iterator[str]:
    """A TLS server whose certificate no authority vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    def greet() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            context.wrap_socket(connection, server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        yield f"https://localhost:{listener.getsockname()[1]}"
        thread.join(60)


def test_a_certificate_that_nobody_vouches_for(tmp_path: Path) -> None:
    with self_signed(tmp_path) as base:
        text = str(failed(simplejwt(base)).error)
    said = f"the token endpoint {base}/api/token/refresh/: certificate verify failed: self-signed certificate"
    assert text == f"{said}; SSL_CERT_FILE names the file of an authority of your own"


def test_a_server_that_does_not_speak_tls(endpoint: Site) -> None:
    base = endpoint.url.replace("http://", "https://")
    assert f"{base}/api/token/refresh/: TLS failed (" in str(failed(simplejwt(base)).error)


RAISED: list[tuple[Exception, str]] = [
    (httpx.ConnectError("[Errno 111] Connection refused"), "connection refused"),
    (httpx.ConnectError("[Errno -2] Name or service not known"), "could not be resolved"),
    (httpx.ConnectError("[Errno -3] Temporary failure in name resolution"), "could not be resolved"),
    (httpx.ConnectError("[Errno 8] nodename nor servname provided, or not known"), "could not be resolved"),
    (httpx.ConnectError("[Errno 11001] getaddrinfo failed"), "could not be resolved"),
    (
        httpx.ConnectError(
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_s.c:1)"
        ),
        "certificate verify failed: certificate has expired",
    ),
    (httpx.ConnectError("All connection attempts failed"), "there is no connection"),
    (httpx.ConnectTimeout("timed out"), "the connection was not made in time"),
    (httpx.PoolTimeout("full"), "no connection of its client was free in time"),
    (httpx.ReadTimeout("timed out"), "no answer came in time"),
    (httpx.WriteTimeout("timed out"), "the request could not be sent in time"),
    (httpx.ProxyError("407 Proxy Authentication Required"), "through the proxy"),
    (httpx.ReadError("[Errno 104] Connection reset by peer"), "connection reset"),
    (httpx.WriteError("[Errno 32] Broken pipe"), "connection reset"),
    (httpx.RemoteProtocolError("Server disconnected without sending a response."), "closed the connection without"),
    (httpx.RemoteProtocolError("peer closed connection without sending complete message body"), "was cut off"),
    (httpx.RemoteProtocolError("illegal status line: bytearray(b'refresh-secret')"), "the answer is not HTTP"),
    (httpx.DecodingError("Error -3 while decompressing"), "badly compressed"),
    (httpx.TooManyRedirects("Exceeded"), "redirects without end"),
    (httpx.ReadError(""), "the connection broke"),
]


@pytest.mark.parametrize(("error", "said"), RAISED, ids=[f"{type(e).__name__}-{s[:20]}" for e, s in RAISED])
def test_each_way_to_break_off_has_its_words_and_the_address_without_its_secrets(error: Exception, said: str) -> None:
    error.request = httpx.Request("POST", "https://app:hunter2@a.example/token?key=sesame#frag")  # type: ignore[attr-defined]
    text = str(failure_of(error).error)
    assert "the token endpoint https://a.example/token: " in text
    assert said in text
    assert not any(secret in text for secret in ("hunter2", "sesame", "app:", "frag", "refresh-secret"))


@pytest.mark.parametrize(("error", "said"), RAISED, ids=[f"{type(e).__name__}-{s[:20]}" for e, s in RAISED])
def test_without_a_request_there_is_no_address_and_no_crash(error: Exception, said: str) -> None:
    bare = type(error)(str(error))
    assert str(failure_of(bare).error).startswith("the token endpoint: ")
    assert said in str(failure_of(bare).error)


def test_the_addresses_of_one_host_are_a_group_of_errors_on_an_event_loop() -> None:
    group = OSError("All connection attempts failed")
    group.__cause__ = ExceptionGroup("multiple", [ConnectionRefusedError(111, "refused"), OSError(101, "unreachable")])
    error = httpx.ConnectError("All connection attempts failed")
    error.__cause__ = group
    assert "connection refused" in str(failure_of(error).error)


def test_a_network_that_is_not_there() -> None:
    error = httpx.ConnectError("[Errno 101] Network is unreachable")
    error.__cause__ = OSError(101, "Network is unreachable")
    assert str(failure_of(error).error) == "the token endpoint: network is unreachable"


def test_a_url_as_long_as_a_token_is_cut_and_a_token_in_its_path_is_not_shown() -> None:
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"
    for path, gone in ((f"/t/{jwt}/", jwt), (f"/{'x' * 5000}", "x" * 200)):
        error = httpx.ConnectError("refused", request=httpx.Request("POST", f"https://a.example{path}"))
        text = str(failure_of(error).error)
        assert gone not in text
        assert len(text) < 200


@pytest.mark.parametrize("fault", [faults.reset_before(), faults.reset_after(), faults.half_close()])
def test_over_a_socket_and_in_process_a_connection_that_broke_says_where_and_why(fault: faults.Fault) -> None:
    with TokenServer() as server:
        for base, transport in ((server.url, None), (URL, server.transport)):
            server.script(fault)
            error = failed(simplejwt(base, transport=transport)).error
            assert f"the token endpoint {base}/api/token/refresh/: " in str(error)
            assert "reset" in str(error) or "cut off" in str(error) or "closed" in str(error) or "HTTP" in str(error)


def test_a_failed_login_says_so_too() -> None:
    session: Session[Any]
    with nobody_listens() as base:
        session = Session(simplejwt(base), tries=1)
        with pytest.raises(LoginFailed, match=f"{base}/api/token/: connection refused") as caught:
            session.login(username="ada", password="hunter2").run()
    assert caught.value.transient
    assert "hunter2" not in str(caught.value)


def test_and_a_waiting_call_and_explain() -> None:
    with nobody_listens() as base:
        session = Session(simplejwt(base, refresh_path="/auth/refresh-token"), tokens=Tokens("a", "r", 1.0), tries=1)
        with pytest.raises(RefreshUnavailable, match=f"{base}/auth/refresh-token: connection refused"):
            session.fresh().run()
        assert f"{base}/auth/refresh-token: connection refused" in session.explain()


def test_a_logout_that_can_not_be_sent_says_so_too(caplog: pytest.LogCaptureFixture) -> None:
    with nobody_listens() as base, caplog.at_level(logging.WARNING, "rxauth"):
        session = Session(simplejwt(base, logout_path="/out/"), tokens=SPENT)
        session.logout().run()
    assert f"did not confirm the logout: connection refused, at {base}/out/" in caplog.text
