"""What the properties share: odd values, secrets that must not be seen, and when a pair is sane."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import jwt
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from rxauth import AuthState, Tokens
from rxauth.concurrency import Instant
from rxauth.session.explain import explain

#: The moment of receipt in these tests; the two clocks have nothing in common.
T0 = Instant(wall=1_800_000_000.0, mono=500.0)
#: What an operating system's clock may show: from 1970 to the year 9999, any uptime.
WALLS = st.floats(0, 253_402_300_799)
MONOS = st.floats(0, 1e9)
INSTANTS = st.builds(Instant, WALLS, MONOS)

#: Secrets: long enough never to stand anywhere by chance.
SECRETS = st.from_regex(r"s3cret-[A-Za-z0-9]{12}", fullmatch=True)

ODD_NUMBERS = st.sampled_from(
    [0, -1, 3600, 3600.0, 0.5, 1e12, 1e308, -1e308, 10**30, 10**400, -(10**400), math.nan, math.inf, -math.inf, True]
)
ODD_TEXTS = st.sampled_from(
    ["", "3600", " 3600 ", "3600.0", "1e308", "1e999", "nan", "Infinity", "-1", "soon", "1_000", "٣٦٠٠", "\ud800",
     "null", "9" * 5000, "2027-01-15T08:00:00Z", "2027-01-15", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"]
)  # fmt: skip
#: Whatever a decoder of JSON may return, and some that it may not.
SCALARS: SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), ODD_NUMBERS, ODD_TEXTS
)
JSON: SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def make_jwt(claims: object, key: str = "k" * 32) -> str:
    """A signed JWT of these claims, of any type, NaN and Infinity included."""
    return jwt.api_jws.encode(json.dumps(claims).encode(), key, algorithm="HS256")


def check_sane(tokens: Tokens, later: Instant) -> None:
    """The numbers of this pair are finite or unknown, now and later, and it can be shown."""
    numbers = {"expires_at": tokens.expires_at, "refresh_expires_at": tokens.refresh_expires_at, "life": tokens.life}
    for moment in (T0, later):
        numbers[f"remaining({moment})"] = tokens.remaining(moment)
        numbers[f"refresh_remaining({moment})"] = tokens.refresh_remaining(moment)
    for name, number in numbers.items():
        assert number is None or (type(number) is float and math.isfinite(number)), (name, number)
    assert tokens.life is None or tokens.life >= 0
    state = AuthState(status="signed_in", tokens=tokens, changed=T0)
    shown = repr(tokens) + explain(state, "default", later)
    for secret in filter(None, (tokens.access, tokens.refresh)):
        assert len(secret) < 12 or secret not in shown


def links(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it goes back to."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def check_silent(error: BaseException, *secrets: str) -> None:
    """No text of this error, or of what it goes back to, holds one of the secrets."""
    for link in links(error):
        shown = f"{link} {link!r} {vars(link)!r}".lower()
        for secret in secrets:
            assert secret.lower() not in shown, shown
