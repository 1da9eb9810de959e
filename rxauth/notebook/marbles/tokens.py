"""The life of a session's tokens in a recording: which pair it held when, and each refresh."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from rxauth.notebook.follow.tally import auth_states
from rxauth.notebook.marbles.labels import class_name
from rxauth.session.actions import (
    RefreshEvent,
    RefreshFailed,
    RefreshStarted,
    SessionEnded,
    SessionEvent,
    SignedIn,
    SignedOut,
    SignInFailed,
    SigningIn,
    StorageChanged,
    TokensRefreshed,
)
from rxauth.session.state import AuthState, auth_reducer

#: `signed_in`: there is a token, and when it expires is not known.
PieceKind = Literal["signed_out", "signing_in", "signed_in", "fresh", "expired", "refreshing", "degraded"]
FlightOutcome = Literal["refreshed", "failed", "ended", "overtaken", "running"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of time in which nothing changed. `expires_in` counts from its beginning; None: nobody knows."""

    kind: PieceKind
    begin: float
    end: float
    generation: int = 0
    expires_in: float | None = None
    #: The class of the error that led here, "" for none.
    error: str = ""
    #: The API refused the token, and the pair could not be saved.
    refused: bool = False
    unsaved: bool = False


@dataclass(frozen=True, slots=True)
class Flight:
    """A refresh. `begin` is None for one that began before the recording, `end` for one that has not ended in it.

    `overtaken`: somebody signed out or in meanwhile (`error` says which), so what comes of it counts for nothing.
    """

    begin: float | None
    end: float | None = None
    outcome: FlightOutcome = "running"
    error: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """A moment at which those who wait may be released: something ended. `error` is "" when it ended well."""

    at: float
    what: Literal["refreshed", "failed", "ended", "signed_in", "sign_in_failed", "signed_out"]
    error: str = ""


@dataclass(frozen=True, slots=True)
class TokenLane:
    """One session."""

    session: str
    pieces: tuple[Piece, ...]
    flights: tuple[Flight, ...]
    turns: tuple[Turn, ...]
    #: When saving the tokens failed, with the error's class; and when it worked again, with "".
    saves: tuple[tuple[float, str], ...] = ()

    @property
    def is_quiet(self) -> bool:
        """Nobody was signed in all the time, and nobody tried to be."""
        return not self.turns and all(piece.kind == "signed_out" and not piece.error for piece in self.pieces)


@dataclass(slots=True)
class Life:
    """A session, event by event; `lane` is what became of it."""

    session: str
    state: AuthState | None = None
    #: What the state was from when on, and when its tokens expire.
    _states: list[tuple[float, AuthState, float | None]] = field(default_factory=list)
    _expires: float | None = None
    _seen: bool = False
    _open: dict[tuple[str, int], Flight] = field(default_factory=dict)
    _over: list[Flight] = field(default_factory=list)
    _turns: list[Turn] = field(default_factory=list)
    _saves: list[tuple[float, str]] = field(default_factory=list)

    def add(self, at: float, event: SessionEvent) -> None:
        """Go on with this event."""
        if not self._seen:
            self._begin(at, event)
        assert self.state is not None
        before, self.state = self.state, auth_reducer(self.state, event)
        if self.state is not before and self.state.tokens is not before.tokens:
            self._expires = _expiry(self.state, at, event)
        if self.state is not before:
            self._states.append((at, self.state, self._expires))
        self._follow(at, event, self.state is not before)

    def lane(self, end: float) -> TokenLane:
        """All of it, until the recording's end."""
        if not self._seen and self.state is not None:
            self._states = [(0.0, self.state, None)]
        flights = sorted([*self._over, *self._open.values()], key=lambda flight: flight.begin or 0.0)
        return TokenLane(self.session, tuple(self._pieces(end)), tuple(flights), tuple(self._turns), tuple(self._saves))

    def _begin(self, at: float, event: SessionEvent) -> None:
        """The state at the beginning; the first event tells what a clock said then, and so when its tokens expire."""
        self._seen = True
        if self.state is None:
            self.state = _before(event)
        self._expires = _expiry(self.state, at, event)
        self._states = [(0.0, self.state, self._expires)]
        if self.state.status == "refreshing":
            self._open[self.state.sign_in, self.state.generation] = Flight(None)

    def _follow(self, at: float, event: SessionEvent, counts: bool) -> None:
        key = (event.sign_in, event.generation) if isinstance(event, RefreshEvent) else None
        match event:
            case RefreshStarted() if key is not None:
                self._open[key] = Flight(at)
            case TokensRefreshed():
                self._land(key, at, "refreshed", counts)
            case RefreshFailed(error=error):
                self._land(key, at, "failed", counts, class_name(error))
            case SessionEnded(cause=cause):
                self._land(key, at, "ended", counts, class_name(cause))
            case SignedIn() if counts:
                self._turns.append(Turn(at, "signed_in"))
                self._overtake(at, "the next sign-in")
            case SignInFailed(error=error) if counts:
                self._turns.append(Turn(at, "sign_in_failed", class_name(error)))
            case SignedOut() if counts:
                self._turns.append(Turn(at, "signed_out"))
                self._overtake(at, "the logout")
            case StorageChanged(error=error) if counts:
                self._saves.append((at, "" if error is None else class_name(error)))

    def _overtake(self, at: float, why: str) -> None:
        self._over += [replace(flight, end=at, outcome="overtaken", error=why) for flight in self._open.values()]
        self._open.clear()

    def _land(
        self,
        key: tuple[str, int] | None,
        at: float,
        outcome: Literal["refreshed", "failed", "ended"],
        counts: bool,
        error: str = "",
    ) -> None:
        flight = self._open.pop(key, None) if key is not None else None
        if counts:
            self._over.append(replace(flight or Flight(None), end=at, outcome=outcome, error=error))
            self._turns.append(Turn(at, outcome, error))
        elif flight is not None:
            self._over.append(replace(flight, end=at, outcome="overtaken", error="the next sign-in"))

    def _pieces(self, end: float) -> list[Piece]:
        pieces: list[Piece] = []
        ends = [state[0] for state in self._states[1:]] + [end]
        here = 0.0
        for (begin, state, expires), until in zip(self._states, ends, strict=True):
            here = max(here, begin)
            last = max(here, min(until, end))
            pieces += _split(state, here, last, expires)
        return pieces


def lives_in(initial: Any) -> dict[str, Life]:
    """The sessions in a recording's first state."""
    try:
        return {state.session: Life(state.session, state) for state in auth_states(initial)}
    except Exception:  # a state of somebody's own making, that holds itself or raises when it is looked into
        return {}


def _before(event: SessionEvent) -> AuthState:
    """The state before an event whose beginning is not there: one in which the event means something."""
    if isinstance(event, RefreshEvent):
        status: Literal["signed_in", "refreshing"] = (
            "refreshing" if isinstance(event, TokensRefreshed | RefreshFailed | SessionEnded) else "signed_in"
        )
        return AuthState(
            session=event.session, status=status, sign_in=event.sign_in, generation=event.generation, pending=""
        )
    if isinstance(event, SignedOut):
        return AuthState(session=event.session, status="signed_in", sign_in=event.sign_in)
    if isinstance(event, SigningIn):
        return AuthState(session=event.session)
    return AuthState(session=event.session, status="signing_in", pending=event.sign_in)


def _expiry(state: AuthState, at: float, event: SessionEvent) -> float | None:
    """When the tokens expire, on the recording's clock, which said `at` when this event came."""
    remaining = state.tokens.remaining(event.at) if state.tokens is not None else None
    return None if remaining is None or not math.isfinite(remaining) else at + remaining


def _split(state: AuthState, begin: float, end: float, expires: float | None) -> list[Piece]:
    """The state's stretch of time: one piece, or two when the token expires in it."""
    error = class_name(state.error) if state.error is not None else ""
    unsaved = state.storage == "failing"

    def piece(kind: PieceKind, begin: float, end: float, left: float | None) -> Piece:
        return Piece(kind, begin, end, state.generation, left, error, state.refused, unsaved)

    left = expires - begin if expires is not None and state.tokens is not None else None
    if state.status != "signed_in" or expires is None or left is None:
        return [piece(state.status, begin, end, left)]
    if expires >= end:
        return [piece("fresh", begin, end, left)]
    if left <= 0:
        return [piece("expired", begin, end, left)]
    return [piece("fresh", begin, expires, left), piece("expired", expires, end, 0.0)]
