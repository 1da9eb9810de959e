"""Which address a try was about, and why it came to nothing: for messages, which hold no secret."""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Collection, Iterator
from typing import Any

import httpx

from rxauth.redaction.text import without_secrets
from rxauth.redaction.tracebacks import chain

#: A longer address is cut in a message.
_LONGEST = 120

_REFUSED, _RESET = "connection refused", "connection reset"
_CLOSED, _CUT_OFF = "the server closed the connection without an answer", "the answer was cut off"

#: What is said where there is no exception of the system's below: by a transport in memory, or another backend.
_WORDS = (
    (re.compile(r"refused", re.IGNORECASE), _REFUSED),
    (re.compile(r"without sending a response|server disconnected", re.IGNORECASE), _CLOSED),
    (re.compile(r"without sending complete|incomplete", re.IGNORECASE), _CUT_OFF),
    (re.compile(r"reset|aborted|broken pipe", re.IGNORECASE), _RESET),
)
_NO_NAME = re.compile(
    r"name or service not known|nodename nor servname|getaddrinfo|name resolution|no address assoc", re.IGNORECASE
)
_NO_CERTIFICATE = re.compile(
    r"certificate.verify.failed(?:\] certificate verify failed)?(?:: (?P<why>[\w ,.'-]+))?", re.IGNORECASE
)
_UNKNOWN_AUTHORITY = re.compile(r"self.signed|issuer|unknown ca", re.IGNORECASE)

#: What is said by the class of httpx alone, the more exact ones first.
_CLASSES = {
    "ConnectTimeout": "the connection was not made in time",
    "PoolTimeout": "no connection of its client was free in time",
    "ReadTimeout": "no answer came in time",
    "WriteTimeout": "the request could not be sent in time",
    "ProxyError": "it can not be reached through the proxy",
    "RemoteProtocolError": "the answer is not HTTP",
    "DecodingError": "the answer is badly compressed",
    "TooManyRedirects": "it redirects without end",
    "StreamError": "the answer could not be read",
    "ConnectError": "there is no connection",
}


def shown(url: object) -> str:
    """A URL as it may stand in a message: without user, password, query, fragment, or a token in its path."""
    try:
        plain = httpx.URL(str(url)).copy_with(userinfo=b"", query=None, fragment=None)
    except httpx.InvalidURL:
        return ""
    text = without_secrets(str(plain))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def address(subject: Any) -> str:
    """` https://...`: where an answer, or an error of httpx, comes from; "" where it does not say."""
    try:
        return f" {shown(subject.request.url)}"
    except (AttributeError, RuntimeError):  # httpx raises the latter for a request that was not set
        return ""


def reason(error: BaseException, kinds: Collection[str]) -> str:
    """Why no answer came, in a few words; `kinds` names the classes of httpx that this error is one of."""
    links = list(_links(error))
    for link in links:
        if isinstance(link, OSError) and (said := _of_the_system(link)):
            return said
    texts = " ".join(map(str, links))
    if found := _NO_CERTIFICATE.search(texts):
        return _certificate(found["why"])
    if _NO_NAME.search(texts):
        return _name(None)
    by_words = [said for pattern, said in _WORDS if pattern.search(texts)]
    by_class = [said for name, said in _CLASSES.items() if name in kinds]
    return [*by_words, *by_class, "the connection broke"][0]


def _of_the_system(error: OSError) -> str | None:
    match error:
        case ssl.SSLCertVerificationError():
            return _certificate(error.verify_message)
        case ssl.SSLError():
            return f"TLS failed ({str(error.reason or 'no reason given').replace('_', ' ').lower()})"
        case socket.gaierror():
            return _name(error.strerror)
        case ConnectionRefusedError():
            return _REFUSED
        case ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError():
            return _RESET
    return os.strerror(error.errno).lower() if error.errno else None


def _certificate(why: str | None) -> str:
    said = (why or "no reason given").strip().rstrip(".")
    advice = "; SSL_CERT_FILE names the file of an authority of your own" if _UNKNOWN_AUTHORITY.search(said) else ""
    return f"certificate verify failed: {said}{advice}"


def _name(why: str | None) -> str:
    return f"the name of its host could not be resolved{f' ({why})' if why else ''}"


def _links(error: BaseException) -> Iterator[BaseException]:
    """The error and what it goes back to, also inside of a group: a host may have several addresses."""
    for link in chain(error):
        yield link
        if isinstance(link, BaseExceptionGroup):
            yield from link.exceptions
