"""A token server's memory: which tokens are good, which were spent, and what happens when a spent one comes back."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import jwt

from rxauth.tokens.pair import Tokens

Reuse = Literal["revoke_family", "reject", "allow"]
#: What the server thinks of an access token.
Verdict = Literal["current", "old", "expired", "revoked", "unknown"]

_KEY = "a test server's key, which nobody needs to guess"


@dataclass(frozen=True, slots=True)
class Pair:
    """What the server gave out. `expires_in` is the access token's life in seconds."""

    access: str
    refresh: str
    expires_in: float

    @property
    def tokens(self) -> Tokens:
        """For `Session(..., tokens=server.issue().tokens)`."""
        return Tokens(self.access, self.refresh)


@dataclass(slots=True)
class _Access:
    family: int
    expires_at: float
    revoked: bool = False
    old: bool = False


class Rotation:
    """Families of tokens, one for each login. `now` is the server's clock, in seconds since the epoch.

    `reuse` is what a spent refresh token does: end the whole family (RFC 9700 section 4.14.2), nothing but its own
    refusal, or a new pair all the same. Not safe from several threads by itself.
    """

    def __init__(
        self,
        now: Callable[[], float],
        *,
        life: float,
        refresh_life: float,
        rotate: bool,
        reuse: Reuse,
        revoke_on_rotate: bool,
        user: str,
    ) -> None:
        self._now = now
        self.life = life
        self._refresh_life = refresh_life
        self._rotate = rotate
        self._reuse = reuse
        self._revoke_on_rotate = revoke_on_rotate
        self._user = user
        self._families = itertools.count(1)
        #: How many families there are.
        self.sign_ins = 0
        #: Of the families that are another user's.
        self._users: dict[int, str] = {}
        self._access: dict[str, _Access] = {}
        self._refresh: dict[str, tuple[int, float]] = {}
        self._spent: dict[str, int] = {}
        self._dead: set[int] = set()
        self.current_refresh: str | None = None
        self.reuses = 0

    def sign_in(self, *, expired: bool = False, user: str | None = None) -> Pair:
        """A new family's first pair, for `user` or else the usual one; `expired`: its access token is stale already."""
        family = self.sign_ins = next(self._families)
        if user is not None:
            self._users[family] = user
        return self._issue(family, expired)

    def refresh(self, token: str, *, born_expired: bool = False) -> Pair | None:
        """The next pair, or None when this token is no good."""
        family = self._spent.get(token)
        if family is not None:
            self.reuses += 1
            if self._reuse == "revoke_family":
                self.end(family)
            if self._reuse != "allow" or family in self._dead:
                return None
        else:
            family, expires_at = self._refresh.get(token, (0, 0.0))
            if family == 0 or family in self._dead or self._now() >= expires_at:
                return None
        for access in self._access.values():
            if access.family == family:
                access.old = True
                access.revoked |= self._revoke_on_rotate
        if not self._rotate:
            pair = self._issue(family, born_expired, refresh=token)
        else:
            self._refresh.pop(token, None)
            self._spent[token] = family
            pair = self._issue(family, born_expired)
        return pair

    def judge(self, token: str) -> Verdict:
        """What this access token is worth now. An old one is still good until it expires."""
        access = self._access.get(token)
        if access is None:
            return "unknown"
        if access.revoked or access.family in self._dead:
            return "revoked"
        if self._now() >= access.expires_at:
            return "expired"
        return "old" if access.old else "current"

    def revoke(self, refresh: str) -> bool:
        """A logout: end the family of this refresh token. False when it is unknown."""
        family = self._refresh.get(refresh, (self._spent.get(refresh, 0), 0.0))[0]
        self.end(family)
        return family != 0

    def revoke_access(self) -> None:
        """Refuse every access token given out so far; the refresh tokens stay good."""
        for access in self._access.values():
            access.revoked = True

    def end_all(self) -> None:
        self._dead |= {family for family, _ in self._refresh.values()} | set(self._spent.values())
        self._dead |= {access.family for access in self._access.values()}

    def end(self, family: int) -> None:
        self._dead.add(family)

    def _issue(self, family: int, expired: bool, refresh: str | None = None) -> Pair:
        now = self._now()
        issued = now - self.life - 60 if expired else now
        # exp is in whole seconds, as everywhere; the server itself goes by the exact time.
        user = self._users.get(family, self._user)
        claims = {"sub": user, "iat": int(issued), "exp": int(issued + self.life), "jti": secrets.token_hex(8)}
        access = jwt.encode(claims, _KEY, algorithm="HS256")
        self._access[access] = _Access(family, issued + self.life)
        token = refresh or f"refresh-{secrets.token_urlsafe(24)}"
        self._refresh[token] = (family, now + self._refresh_life)
        self.current_refresh = token
        return Pair(access, token, self.life)
