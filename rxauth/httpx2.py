"""`BearerAuth` for httpx2, which refuses an `httpx.Auth`: the same flow on its own base class."""

from __future__ import annotations

import httpx2

from rxauth.bearer import BearerFlow


class BearerAuth(BearerFlow, httpx2.Auth):
    __doc__ = "`httpx2.Client(auth=BearerAuth(session))`; everything else is as with `rxauth.BearerAuth`."
    byte_stream = httpx2.ByteStream
