"""Which servers may be sent the access token."""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx

from rxauth.errors import OriginNotAllowed

log = logging.getLogger("rxauth")

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
#: A WebSocket's handshake is an HTTP request (RFC 6455 section 4.1): it goes to the origin of the same host and port.
_AS_HTTP = {"ws": "http", "wss": "https"}

#: (scheme, host, port)
Origin = tuple[str, str, int]


class Origins:
    """A set of origins (RFC 6454 section 4): scheme, host and port, without wildcards.

    `ws` counts as `http`, `wss` as `https`. `own` are the refresher's; `listed` those that the user named. Plain http
    is for loopback, where nobody listens in, and for origins that were listed as `http://`, which is consent, and
    logged once.

    Raises `OriginNotAllowed` when the refresher itself would post in the clear, ValueError for what is no origin.
    """

    def __init__(self, own: Iterable[str] = (), listed: Iterable[str] = ()) -> None:
        if isinstance(listed, str):
            raise ValueError(f"origins must be a list: origins=[{listed!r}]")
        self._listed = {parse_origin(text) for text in listed}
        own_origins = {parse_origin(text) for text in own}
        for origin in sorted(own_origins - self._listed):
            if not is_safe(origin):
                raise OriginNotAllowed(
                    f"the token endpoint {show(origin)} is neither https nor on this machine, so everybody on the way "
                    f"could read the tokens; use https, or accept that with origins=[{show(origin)!r}]"
                )
        for origin in sorted(self._listed):
            if not is_safe(origin):
                log.warning("rxauth: tokens will be sent in the clear to %s, as origins= asks for", show(origin))
        self._allowed = own_origins | self._listed

    def including(self, *more: str) -> Origins:
        """These origins and others that the user chose, for example the base URL of his client."""
        wider = Origins.__new__(Origins)
        wider._listed = self._listed
        wider._allowed = self._allowed | {origin for text in more if is_safe(origin := parse_origin(text))}
        return wider

    def allow(self, url: Any) -> bool:
        """May the token go there? `url` is an httpx URL."""
        scheme = url.scheme
        # Not by `_origin`: this is asked for each call.
        origin = (_AS_HTTP.get(scheme, scheme), url.host, url.port or _PORTS.get(scheme, 0))
        return origin in self._allowed or (
            ":" in origin[1] and (origin[0], _ipv6(origin[1]), origin[2]) in self._allowed
        )

    def allow_chain(self, urls: Sequence[Any]) -> bool:
        """May the token go along these redirects: through allowed origins only, and never from https to plain http?"""
        is_downgraded = any(_origin(url)[0] == "https" for url in urls) and _origin(urls[-1])[0] != "https"
        return not is_downgraded and all(map(self.allow, urls))

    def refuse(self, url: Any) -> OriginNotAllowed:
        """The error for a URL that is not allowed, naming the remedy."""
        origin = _origin(url)
        known = ", ".join(map(show, sorted(self._allowed))) or "none"
        clear = "" if is_safe(origin) else " (in the clear: better use https)"
        return OriginNotAllowed(
            f"the access token is not sent to {show(origin)}: this session's origins are {known}. Add it with "
            f"Session(..., origins=[{show(origin)!r}]){clear}, send this call bare with auth=None, or all calls to "
            "other origins with BearerAuth(session, elsewhere='bare')"
        )


def parse_origin(text: str) -> Origin:
    """(scheme, host, port) of `"https://host[:port]"`, also for `"wss://..."`. Raises ValueError for anything else."""
    shown = re.sub("//[^/]*@", "//", text) if isinstance(text, str) else text  # a password is nobody's business
    try:
        parts = urlsplit(text)
        port = parts.port
        host = _ipv6(httpx.URL(text).host)  # the form in which a client's requests show it, international names decoded
    except (ValueError, AttributeError, TypeError, httpx.InvalidURL):
        raise ValueError(f"expected an origin such as 'https://api.example.com', got {shown!r}") from None
    scheme = _AS_HTTP.get(parts.scheme, parts.scheme)
    if scheme not in _PORTS or not parts.hostname or not host or parts.username is not None:
        raise ValueError(f"expected an origin such as 'https://api.example.com', got {shown!r}")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        short = show((scheme, parts.hostname, port or _PORTS[scheme]))
        raise ValueError(f"an origin has no path: write {short!r} instead of {shown!r}")
    return scheme, host, port or _PORTS[scheme]


def _origin(url: Any) -> Origin:
    """The origin of an httpx URL, which knows no port where it is the scheme's own."""
    return _AS_HTTP.get(url.scheme, url.scheme), url.host, url.port or _PORTS.get(url.scheme, 0)


def _ipv6(host: str) -> str:
    """One way to write an IPv6 address (RFC 5952); other hosts as they are."""
    try:
        return ipaddress.ip_address(host).compressed if ":" in host else host
    except ValueError:
        return host


def is_safe(origin: Origin) -> bool:
    """https, or this machine."""
    scheme, host, _ = origin
    if scheme == "https" or host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def show(origin: Origin) -> str:
    """`scheme://host`, with the port where it is not the scheme's own."""
    scheme, host, port = origin
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}" if _PORTS.get(scheme) == port else f"{scheme}://{name}:{port}"


def origin_of(url: str) -> str:
    """scheme://host[:port] of an absolute URL."""
    parsed = httpx.URL(url)
    return str(parsed.copy_with(raw_path=b"", username="", password="", fragment=None)).rstrip("/")
