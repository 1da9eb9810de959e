"""What happened, as the reducer saw it: the one order of events that everything else is judged by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from rxauth import AuthState
from rxauth.concurrency import Instant
from rxauth.errors import (
    LoginFailed,
    NotSignedIn,
    RefresherError,
    RefreshMisconfigured,
    RefreshUnavailable,
    SessionChanged,
    SessionExpired,
)
from rxauth.session import (
    RefreshFailed,
    SessionEnded,
    SessionEvent,
    SignedIn,
    SignedOut,
    SignInFailed,
    SigningIn,
    TokensRefreshed,
    auth_reducer,
)
from rxauth.session.registry import PROBE
from rxauth.session.state import is_cooling
from rxauth.store import combine_reducers

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


@dataclass(frozen=True)
class Undo:
    """The app goes back to a state that it had, the session's slice included."""

    state: App


@dataclass(frozen=True)
class Break:
    """From now on the app's reducer loses the session's events, or the whole slice, or fails on them."""

    how: Literal["events", "slice", "fails"]


@dataclass(frozen=True)
class Mend:
    """The app's reducer is as it should be again. Where the slice was lost, it becomes this one."""

    auth: AuthState


#: What an app does to its own state.
AppAction: TypeAlias = Reset | Undo | Break | Mend


@dataclass(frozen=True, slots=True)
class Entry:
    """One event, when it happened, and what it made of the session, whatever the app's state says."""

    at: Instant
    event: Any
    before: AuthState
    after: AuthState

    @property
    def ends_sign_in(self) -> bool:
        return bool(self.before.sign_in) and self.after.sign_in != self.before.sign_in


@dataclass
class History:
    """Every action in the order of the reducer, every state, and who owned which token when.

    `auth` is what is so. The app's state may say something else: it went back to an earlier one, or lost an event.
    """

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
    #: The states that the app has had; how its reducer is broken, and whether it ever was.
    kept: list[App] = field(default_factory=list)
    broken: str = ""
    was_broken: bool = False
    #: When the app last had nobody in its state: the session may not have seen that yet.
    reset_at: float = float("-inf")
    #: The logins in whose middle the app's state was put.
    middles: set[str] = field(default_factory=set)
    #: The logins that a logout or another login ended, whatever the app's state says.
    dropped: set[str] = field(default_factory=set)
    #: The session or its store is being closed; the session is closed.
    closing: bool = False
    closed: bool = False

    def of_app(self, state: App, action: Any) -> App:
        """The reducer of a store that holds more than the session."""
        probes = isinstance(action, SessionEvent) and action.sign_in == PROBE
        after = self._after(state, action)
        if not isinstance(action, SessionEvent | Reset | Undo):
            after = replace(after, seen=state.seen + 1)
        if not probes and isinstance(after.auth, AuthState):
            self.kept.append(after)
        self._note(action, after if after is not state else None, after.auth)
        return after

    def _after(self, state: App, action: Any) -> App:
        match action:
            case Reset():
                return App()
            case Undo(earlier):
                return state if self._is_unseen() or self.broken == "slice" else earlier
            case Break(how) if not self.broken:
                self.broken, self.was_broken = how, True
                return replace(state, auth=None) if how == "slice" else state
            case Mend(auth):
                self.broken = ""
                return replace(state, auth=auth) if state.auth is None else state
            case SessionEvent() if self.broken == "fails":
                raise LookupError("a fault of the app's reducer")
            case SessionEvent() if self.broken:
                return state
        return _reduce_app(state, action) if state.auth is not None else state

    def _is_unseen(self) -> bool:
        """Has the app just put a state with nobody in it, which the session has perhaps not noticed yet?"""
        return self.now().mono == self.reset_at

    def of_session(self, state: AuthState, action: Any) -> AuthState:
        """The reducer of a store of the session's own."""
        after = auth_reducer(state, action)
        self._note(action, after if after is not state else None, after)
        return after

    def _note(self, action: Any, state: Any, shown: AuthState | None) -> None:
        """The reducer made `state` of it, in which the session's slice is `shown`."""
        if isinstance(action, SessionEvent) and action.sign_in == PROBE:
            return  # the session asks whether this reducer handles its events, and drops the answer
        self.actions.append(action)
        if state is not None:
            self.states.append(state)
        if not isinstance(action, SessionEvent | AppAction):
            return
        before = self.auth
        after = self.auth = self._is_so(before, action, shown)
        entry = Entry(self.now(), action, before, after)
        self.entries.append(entry)
        if entry.ends_sign_in:
            self.left[before.sign_in] = entry.at.mono
            if not isinstance(action, SessionEnded):  # whose calls may wait for a login that goes on
                self.left_by_choice[before.sign_in] = entry.at.mono
        if before.pending and before.pending not in (after.pending, after.sign_in):
            if not isinstance(action, AppAction):
                self.dropped.add(before.pending)
            self.left_by_choice[before.pending] = entry.at.mono
        if before.generation and after.generation != before.generation:
            self.followed[before.generation] = entry.at.mono
        if after.tokens is not None and after.generation not in self.generations:
            self.owners[after.tokens.access] = after.sign_in, after.generation
            self.generations.add(after.generation)
        if shown is not None and shown.tokens is not None and shown.tokens.sign_in != shown.sign_in:
            self.wrong.append("the state holds another sign-in's tokens")
        self._judge(action, before, after)

    def _is_so(self, before: AuthState, action: Any, shown: AuthState | None) -> AuthState:
        """What is so after this, the app's state being `shown`: nobody is revived by it, nor signed out by an undo, but
        a state that has nobody in it ends the sign-in."""
        if isinstance(action, SignedIn) and self._is_back(action, before, shown):
            return auth_reducer(replace(before, pending=action.sign_in), action)
        if isinstance(action, SessionEnded) and before.tokens is None:
            return replace(before, error=action.cause)  # said again, to a state that had gone back
        if isinstance(action, SessionEvent):
            return auth_reducer(before, action)
        if shown is None or isinstance(action, Break):
            return before
        self.middles.add(shown.pending)
        pending = before.pending if before.pending in (shown.pending, shown.sign_in) else ""
        if shown.tokens is None and not (before.sign_in and shown.pending == before.sign_in):
            self.reset_at = self.now().mono
            status = "signing_in" if pending else "signed_out"
            return AuthState(status=status, pending=pending, error=shown.error)
        if pending == before.pending:
            return before
        return replace(before, pending="", status=before.resume)

    def _is_back(self, action: SignedIn, before: AuthState, shown: AuthState | None) -> bool:
        """Did an undo lose this login, and another one bring it back before the session saw it?"""
        is_new = action.tokens.generation not in self.generations and action.sign_in != before.pending
        is_taken = shown is not None and shown.sign_in == action.sign_in
        return is_new and is_taken and action.sign_in not in self.dropped

    def _judge(self, action: Any, before: AuthState, after: AuthState) -> None:
        match action:
            case SessionEnded() if after.sign_in != before.sign_in and not self.is_ended(_family(before)):
                self.wrong.append("a session ended that the server had not ended")
            case SignedIn(sign_in=sign_in) if after is not before and sign_in != before.pending:
                self.wrong.append("a login that another one had overtaken signed its user in")
            case TokensRefreshed(counted=counted) if len(counted) > MOST_PREMATURE:
                self.wrong.append("the API refuses every token, and it was refreshed on and on")
            case TokensRefreshed(sign_in=sign_in) | RefreshFailed(sign_in=sign_in) if before.sign_in != sign_in:
                self.wrong.append(f"{type(action).__name__} was told of a sign-in that is over")
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
        if self.closing or self.was_broken:
            return True  # a closed store hears of nothing any more, and a broken reducer not of all
        match error:
            case SessionChanged():
                changed = any(_who(entry.after) != _who(entry.before) for entry in later)
                return changed or began not in (None, asked.sign_in)
            case LoginFailed():
                return any(isinstance(entry.event, SignInFailed | AppAction) for entry in later)
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
        ends = (SignedOut, SessionEnded, Reset, Undo, Mend, SignInFailed)
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
