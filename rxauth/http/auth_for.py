"""The auth through which an api epic sends: the client's own, where it has one of that session."""

from __future__ import annotations

import copy
from typing import Any

import httpx

from rxauth.http.bearer import BearerAuth, BearerFlow
from rxauth.session.session import Session
from rxauth.tokens.origins import origin_of


def auth_for(client: Any, session: Session[Any]) -> BearerFlow:
    """The client's own `BearerAuth`, with all its options, else one on the base class of its library.

    The client's `base_url` is one more origin. Raises ValueError when the client's `BearerAuth` is of another session.
    """
    own = getattr(client, "auth", None)
    flow: BearerFlow
    if isinstance(own, BearerFlow):
        if own._session is not session:
            raise ValueError(
                f"the client's BearerAuth is of another session, {own._session!r}: give api_epic that one, or the "
                f"client auth=BearerAuth(session) with {session!r}"
            )
        flow = copy.copy(own)
    elif isinstance(client, httpx.Client | httpx.AsyncClient):
        flow = BearerAuth(session)
    else:
        from rxauth.http import httpx2

        flow = httpx2.BearerAuth(session)
    if client.base_url.host:
        flow._origins = flow._origins.including(origin_of(str(client.base_url)))
    return flow
