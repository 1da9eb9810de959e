"""`Tokens`: an access token, the refresh token that replaces it, and how long both live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self

from rxauth.concurrency.runtime import Instant, current_runtime
from rxauth.errors import InvalidTokens, UnsendableTokens
from rxauth.redaction.display import Shown
from rxauth.redaction.names import fingerprint
from rxauth.redaction.tracebacks import concealed
from rxauth.tokens.claims import check_number, check_token, read_claims, span_of
from rxauth.tokens.response import TokenFields, dig, lifetime_of, pick, seconds_of, skew_of
from rxauth.tokens.wire_names import ACCESS_TOKEN, REFRESH_TOKEN, SIMPLEJWT_ACCESS, SIMPLEJWT_REFRESH

#: The wall clock overrules the monotonic one when it ran ahead by more than this many seconds: the machine slept.
CLOCK_DRIFT = 5.0


@dataclass(frozen=True, slots=True)
class Tokens(Shown):
    """An immutable pair of tokens.

    `access` and `refresh` are plain strings; `repr` shows a short fingerprint of each, never the token.
    `expires_at` and `refresh_expires_at` are seconds since the epoch on *this* machine's clock; None means unknown:
    such an access token is used until the API refuses it. `life` is the access token's whole life in seconds.

    A pair that was just received counts its life from that moment (`received`), so that no clock has to agree with the
    server's. A pair brought from elsewhere, `Tokens(access, refresh)`, has the `exp` of its JWT (RFC 7519 section
    4.1.4) compared with the wall clock. So has one that was loaded. `refresh_received` is the same for a refresh token
    whose life was counted. The signature is not verified: that is for the API, the token's audience.

    `sign_in` and `generation` are filled in by the session that holds the pair.

    Raises `InvalidTokens` for an access token that could not be sent as a header, and for a refresh token that is no
    printable ASCII (RFC 6749 section A.17).
    """

    access: str
    refresh: str | None = None
    expires_at: float | None = None
    refresh_expires_at: float | None = None
    scope: str | None = None
    life: float | None = field(default=None, kw_only=True)
    received: Instant | None = field(default=None, kw_only=True, compare=False)
    refresh_received: Instant | None = field(default=None, kw_only=True, compare=False)
    sign_in: str = field(default="", kw_only=True)
    generation: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        check_token("access", self.access)
        if self.refresh is not None:
            check_token("refresh", self.refresh)
        for name in ("expires_at", "refresh_expires_at", "life"):
            check_number(name, getattr(self, name))
        if self.expires_at is None and self.received is None:
            claims = read_claims(self.access)
            object.__setattr__(self, "expires_at", claims.get("exp"))
            if self.life is None:
                object.__setattr__(self, "life", span_of(claims))
        if self.refresh_expires_at is None and self.refresh is not None and self.received is None:
            object.__setattr__(self, "refresh_expires_at", read_claims(self.refresh).get("exp"))

    @classmethod
    @concealed
    def from_response(
        cls,
        answer: object,
        *,
        fields: TokenFields | None = None,
        received: Instant | None = None,
        sent: Instant | None = None,
        server_date: float | None = None,
        keep: Tokens | None = None,
    ) -> Self:
        """The pair in a token endpoint's decoded answer: OAuth 2's fields (RFC 6749 section 5.1) or simplejwt's.

        `received` and `sent` are the moments of the answer and of its request (now, if left out); `server_date` is the
        answer's `Date` in seconds since the epoch. `keep` is the pair that was spent: its refresh token and its scope
        stay in use when the answer names none (RFC 6749 section 6).

        The access token's life is the expiry field; else `exp - iat` of the JWT; else its `exp`, corrected by as much
        of the two clocks' difference as `Date` proves; else unknown. An expiry of 0 or less means "already stale".

        Raises `InvalidTokens` when there is no usable access token in it, `UnsendableTokens` when its `token_type` asks
        for more than a header: DPoP (RFC 9449), PoP, MAC, or `N_A` (RFC 8693 section 2.2.1). Others count as bearer.
        """
        names = fields or TokenFields()
        now = received or current_runtime().now()
        body = dig(answer, names.under)
        _check_type(body.get("token_type"))
        access = pick(body, names.access_key, (ACCESS_TOKEN, SIMPLEJWT_ACCESS))
        if access is None:
            raise InvalidTokens(
                f"the answer has no access token: its fields are {names_in(body)}; "
                "name the right one with access_key=, or the object that holds it with under="
            )
        check_token("access", access)
        refresh = pick(body, names.refresh_key, (REFRESH_TOKEN, SIMPLEJWT_REFRESH)) or None
        skew = skew_of(server_date, sent or now, now)
        unit = names.expiry
        end = "expires_at" if unit.startswith("epoch") else "expires_in"
        stated = seconds_of(pick(body, names.expires_key, (end,)), unit)
        life, expires_at, _ = lifetime_of(access, stated, unit, now, skew)
        refresh_expires_at, refresh_received = None, None
        if refresh is not None:
            check_token("refresh", refresh)
            stated = seconds_of(pick(body, names.refresh_expires_key, (f"refresh_{end}", f"refresh_token_{end}")), unit)
            if stated is not None and stated <= 0:
                stated = None  # Keycloak says 0 for a refresh token without an end
            _, refresh_expires_at, is_counted = lifetime_of(refresh, stated, unit, now, skew)
            refresh_received = now if is_counted else None
        elif keep is not None:
            refresh, refresh_expires_at = keep.refresh, keep.refresh_expires_at
            refresh_received = keep.refresh_received
        scope = body.get("scope")
        if not isinstance(scope, str):
            scope = keep.scope if keep is not None else None
        return cls(
            access,
            refresh,
            expires_at,
            refresh_expires_at,
            scope,
            life=life,
            received=now,
            refresh_received=refresh_received,
        )

    def just_received(self, now: Instant) -> Self:
        """This pair, its life counted from `now`: for a pair that a refresh callable made itself."""
        if self.received is not None:
            return self
        life = self.life
        expires_at = self.expires_at
        if life is not None and expires_at == read_claims(self.access).get("exp"):
            expires_at = now.wall + life
        elif expires_at is not None:
            life = max(0.0, expires_at - now.wall)
        return replace(self, expires_at=expires_at, life=life, received=now)

    def remaining(self, now: Instant) -> float | None:
        """Seconds until the access token expires (negative afterwards), or None when that is not known."""
        return None if self.expires_at is None else _remaining(self.expires_at, self.received, now)

    def refresh_remaining(self, now: Instant) -> float | None:
        """Seconds until the refresh token expires, or None when that is not known or there is none."""
        end = self.refresh_expires_at
        return None if end is None else _remaining(end, self.refresh_received, now)

    def is_over(self, now: Instant) -> bool:
        """Has the access token expired, by the best clock that there is for it?

        That is the monotonic one, however far ahead the wall clock is: a wrong one must not end a sign-in. A machine
        that slept for longer hears it from the server.
        """
        end, since = self.expires_at, self.received
        if end is None:
            return False
        return now.wall >= end if since is None else now.mono - since.mono >= end - since.wall

    def is_refresh_over(self, now: Instant) -> bool:
        """Is the refresh token known to have expired, so that it need not be posted?

        Only the monotonic clock knows: for a pair that was brought, or loaded, the server decides.
        """
        end, since = self.refresh_expires_at, self.refresh_received
        return end is not None and since is not None and now.mono - since.mono >= end - since.wall

    @property
    def claims(self) -> Mapping[str, Any]:
        """The access token's JWT claims, unverified; empty for an opaque token."""
        return read_claims(self.access)

    def __repr__(self) -> str:
        refresh = "None" if self.refresh is None else fingerprint(self.refresh)
        return (
            f"Tokens(access={fingerprint(self.access)}, refresh={refresh}, "
            f"expires_at={_iso(self.expires_at)}, generation={self.generation})"
        )


# Its arguments are the tokens, and a dataclass writes its constructor itself.
Tokens.__init__ = concealed(Tokens.__init__)  # type: ignore[method-assign]


def _remaining(end: float, received: Instant | None, now: Instant) -> float:
    """Seconds until `end`, which is on the wall clock. It overrules the monotonic one when it ran ahead."""
    if received is None:
        return end - now.wall
    elapsed, by_wall = now.mono - received.mono, now.wall - received.wall
    return end - received.wall - (by_wall if by_wall - elapsed > CLOCK_DRIFT else elapsed)


def names_in(body: Mapping[Any, Any]) -> str:
    """The names of the fields, for a message; a name as long as a token may be one."""
    names = sorted(str(name) for name in body)
    return repr([name if len(name) < 24 else fingerprint(name) for name in names])[:300]


#: RFC 9449, RFC 9200, the drafts of MAC and Hawk, and RFC 8693 section 2.2.1, where it is no access token at all.
_UNSENDABLE = {"dpop", "pop", "mac", "hawk", "n_a"}


def _check_type(token_type: object) -> None:
    if isinstance(token_type, str) and token_type.strip().lower() in _UNSENDABLE:
        raise UnsendableTokens(
            f"its token_type is {token_type.strip()}, and rxauth sends an access token as it is, without a proof of a "
            "key; have the server issue bearer tokens to this client"
        )


def _iso(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.0f}"  # a year that datetime does not reach
