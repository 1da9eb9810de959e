"""`BearerAuth` for httpx2, which refuses an `httpx.Auth`: the same flow on its own base class."""

from __future__ import annotations

from rxauth.http.bearer import BearerFlow

try:
    import httpx2
except ImportError as missing:
    raise ImportError("rxauth.http.httpx2 needs the package httpx2: pip install 'rxauth[httpx2]'") from missing


class BearerAuth(BearerFlow, httpx2.Auth):
    __doc__ = "`httpx2.Client(auth=BearerAuth(session))`; everything else is as with `rxauth.BearerAuth`."
    byte_stream = httpx2.ByteStream
