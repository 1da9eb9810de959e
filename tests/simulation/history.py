"""What happened, as the reducer saw it: the one order of events that everything else is judged by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from rxauth import AuthState
from rxauth.actions import (
    RefreshFailed,
    SessionEnded,
    SessionEvent,
    SignedIn,
    SignedOut,
    SignInFailed,
    SigningIn,
    TokensRefreshed,
)
from rxauth.errors import (
    LoginFailed,
    NotSignedIn,
    RefresherError,
    RefreshMisconfigured,
    RefreshUnavailable,
    SessionChanged,
    SessionExpired,
)
from rxauth.reducers import combine_reducers
from rxauth.runtime import Instant
from rxauth.slices import PROBE
from rxauth.state import auth_reducer, is_cooling

#: So many refreshes of tokens that were refused early, or arrived stale, are let through in 30 s.
MOST_PREMATURE = 5


@dataclass(frozen=True)
class App:
    """The state of an app with more in it than its sign-in."""

    auth: AuthState = AuthState()
    seen: int = 0


@dataclass(frozen=True)
class Reset:
    """The app throws away its whole state, the session's included."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event, when it happened, and what it made of the session."""

    at: Instant
    event: Any
    before: AuthState
    after: AuthState

    @property
    def ends_sign_in(self) -> bool:
        return bool(self.before.sign_in) and self.after.sign_in != self.before.sign_in


@dataclass
class History:
    """Every action in the order of the reducer, every state, and who owned which token when."""

    now: Callable[[], Instant]
    wrong: list[str]
    is_ended: Callable[[str], bool]
    auth: AuthState = AuthState()
    entries: list[Entry] = field(default_factory=list)
    actions: list[Any] = field(default_factory=list)
    states: list[Any] = field(default_factory=list)
    #: access token -> (sign-in, generation)
    owners: dict[str, tuple[str, int]] = field(default_factory=dict)
    generations: set[int] = field(default_factory=set)
    #: When a sign-in was over, and when a pair was followed by another one.
    left: dict[str, float] = field(default_factory=dict)
    left_by_choice: dict[str, float] = field(default_factory=dict)
    followed: dict[int, float] = field(default_factory=dict)
    resets: int = 0
    #: The session or its store is being closed; the session is closed.
    closing: bool = False
    closed: bool = False

    def of_app(self, state: App, action: Any) -> App:
        """The reducer of a store that holds more than the session."""
        after = App() if isinstance(action, Reset) else _reduce_app(state, action)
        if not isinstance(action, SessionEvent | Reset):
            after = replace(after, seen=state.seen + 1)
        self._note(action, state.auth, after.auth, after if after is not state else None)
        return after

    def of_session(self, state: AuthState, action: Any) -> AuthState:
        """The reducer of a store of the session's own."""
        after = auth_reducer(state, action)
        self._note(action, state, after, after if after is not state else None)
        return after

    def _note(self, action: Any, before: AuthState, after: AuthState, state: Any) -> None:
        if isinstance(action, SessionEvent) and action.sign_in == PROBE:
            return  # the session asks whether this reducer handles its events, and drops the answer
        self.actions.append(action)
        if state is not None:
            self.states.append(state)
        if not isinstance(action, SessionEvent | Reset):
            return
        self.auth = after
        entry = Entry(self.now(), action, before, after)
        self.entries.append(entry)
        if entry.ends_sign_in:
            self.left[before.sign_in] = entry.at.mono
            if not isinstance(action, SessionEnded):  # whose calls may wait for a login that goes on
                self.left_by_choice[before.sign_in] = entry.at.mono
        if before.pending and before.pending not in (after.pending, after.sign_in):
            self.left_by_choice[before.pending] = entry.at.mono
        if before.generation and after.generation != before.generation:
            self.followed[before.generation] = entry.at.mono
        if after.tokens is not None and after.generation not in self.generations:
            self.owners[after.tokens.access] = after.sign_in, after.generation
            self.generations.add(after.generation)
        self._judge(action, before, after)

    def _judge(self, action: Any, before: AuthState, after: AuthState) -> None:
        match action:
            case Reset():
                self.resets += 1
            case SessionEnded() if after.sign_in != before.sign_in and not self.is_ended(_family(before)):
                self.wrong.append("a session ended that the server had not ended")
            case SignedIn(sign_in=sign_in) if after is not before and sign_in != before.pending:
                self.wrong.append("a login that another one had overtaken signed its user in")
            case TokensRefreshed(counted=counted) if len(counted) > MOST_PREMATURE:
                self.wrong.append("the API refuses every token, and it was refreshed on and on")
            case TokensRefreshed(sign_in=sign_in) | RefreshFailed(sign_in=sign_in) if before.sign_in != sign_in:
                self.wrong.append(f"{type(action).__name__} was told of a sign-in that is over")
        if after.tokens is not None and after.tokens.sign_in != after.sign_in:
            self.wrong.append("the state holds another sign-in's tokens")
        revived = after.sign_in and not before.sign_in and not isinstance(action, SignedIn)
        if revived or (after.sign_in in self.left and after.sign_in):
            self.wrong.append(f"{type(action).__name__} revived a sign-in that was over")

    # -- what a caller may be told -----------------------------------------------------------------------------------

    def sign_ins(self, asked: AuthState, since: int) -> set[str]:
        """Who was signed in, or about to be, since entry number `since`."""
        states = [asked, *(entry.after for entry in self.entries[since:])]
        return {sign_in for state in states for sign_in in (state.sign_in, state.pending)}

    def gives_reason(self, error: Exception, asked: AuthState, when: Instant, since: int, began: str | None) -> bool:
        """Did anything happen since somebody asked that this error may tell him of?"""
        later = self.entries[since:]
        if self.closing:
            return True  # a closed store hears of nothing any more
        match error:
            case SessionChanged():
                changed = any(_who(entry.after) != _who(entry.before) for entry in later)
                return changed or began not in (None, asked.sign_in)
            case LoginFailed():
                return any(isinstance(entry.event, SignInFailed | Reset) for entry in later)
            case SessionExpired():
                told = any(isinstance(entry.event, SessionEnded) for entry in later)
                knew = asked.tokens is None and isinstance(asked.error, SessionExpired)
                return told or knew or _who(asked) != _who(self.auth)
            case NotSignedIn():
                return asked.tokens is None or any(entry.after.tokens is None for entry in later)
            case RefreshUnavailable() | RefreshMisconfigured() | RefresherError():
                failed = any(isinstance(entry.event, RefreshFailed) for entry in later)
                return failed or is_cooling(asked, when) or _who(asked) != _who(self.auth)
        return False

    @property
    def last_end(self) -> Any:
        """The event that ended the last sign-in, or login, if nobody is signed in."""
        ends = (SignedOut, SessionEnded, Reset, SignInFailed)
        return next((entry.event for entry in reversed(self.entries) if isinstance(entry.event, ends)), None)

    @property
    def overtaken(self) -> set[str]:
        """The logins that never became a sign-in."""
        begun = {entry.event.sign_in for entry in self.entries if isinstance(entry.event, SigningIn)}
        return begun - {sign_in for sign_in, _ in self.owners.values()}


_reduce_app = combine_reducers(App, auth=auth_reducer)


def _who(auth: AuthState) -> tuple[str, str]:
    return auth.sign_in, auth.pending


def _family(auth: AuthState) -> str:
    return ((auth.tokens.refresh if auth.tokens else None) or "").partition("/")[0]
