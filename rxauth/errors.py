"""Every error that rxauth raises, as one tree under `RxAuthError`.

    RxAuthError
    ├── NotSignedIn              there is nobody to send as
    │   ├── SessionExpired       the server, or the refresh token's age, ended the sign-in
    │   └── LoginFailed          the login that this call waited for did not succeed
    ├── SessionChanged           another sign-in took the place of the one this call began under
    ├── SessionClosed            the session was closed while, or before, this call waited
    ├── ForkedSession            a forked child may not spend the refresh token it shares with its parent
    ├── RefreshUnavailable       no fresh token now; the sign-in is kept, try again at `retry_at`
    │   ├── RefreshTimeout       the token endpoint did not answer in time
    │   └── TooManyRefreshes     the API refuses every new token
    ├── RefreshMisconfigured     the token endpoint refuses the client, not the token
    ├── RefresherError           the refresh callable raised something of its own
    ├── RefreshRefused           raised *by* a refresh callable: the refresh token is no good
    ├── TooManyWaiting           more items wait at a `Session.gate` than its `waiting=` allows
    ├── TokenRejected            raised *by* a gated effect: the server refused the access token
    ├── OriginNotAllowed         the token would have gone to somebody else, or in the clear
    ├── NotReplayable            a 401 whose request body can not be sent a second time
    ├── WouldDeadlock            a blocking wait on the thread that must do the work
    ├── InvalidTokens            a token answer, or a token, of the wrong shape: also UnsendableTokens
    ├── StorageError             a token storage can not be used: InvalidRecord, ForeignRecord, UnsafeStorage,
    │                            SectionLost, and StorageInUse
    ├── TooManySessions          `Sessions` is full, and none of them can be closed without losing its tokens
    ├── InvalidRecording         a recording that can not be read, or not be replayed
    ├── ApiError                 an `ApiCall` failed: ApiRequestError, ApiNetworkError, ApiStatusError, ApiDecodingError
    ├── CallCancelled, CallSkipped   what `await request(...)` raises for a call without an answer
    └── StoreError               StoreClosed, StoreNeverCompletes, ReducerError, InvalidEpic, EndlessEpic,
                                 InvalidAction, InvalidCall, InvalidState, MissingSlice, NoApiEpic

None of them is an `httpx.HTTPError`: `except httpx.HTTPError` around a request does not catch a refused gate.
No message, argument or attribute printed by `repr` holds a token or a password.
"""

from __future__ import annotations

import math
from typing import Any, Self


class RxAuthError(Exception):
    """The base of all errors of this library.

    `response`, where there is one, is the API's answer: the refused one for an error of `Session.replace`, that to the
    call for an `ApiError`. Of the token endpoint's answers only the `status_code` is kept.
    """

    response: Any = None

    def again(self) -> Self:
        """A copy to raise for one more waiter.

        Raising one exception object in many tasks lets each of them add its frames to the others' traceback.
        """
        copy = type(self).__new__(type(self), *self.args)
        copy.args = self.args
        copy.__dict__.update(self.__dict__)
        copy.__cause__, copy.__context__ = self.__cause__, self.__context__
        copy.__suppress_context__ = True
        return copy


def as_error(raised: BaseException, what: str) -> Exception:
    """What a function of the user's raised, as an Exception: an exit, a cancellation or a panic becomes the cause."""
    if isinstance(raised, Exception):
        return raised
    error = RxAuthError(f"{what} raised {type(raised).__name__}")
    error.__cause__ = raised
    return error


class NotSignedIn(RxAuthError):
    """There is no signed-in user: call `session.login(...)` or `session.sign_in(tokens)` first."""


class SessionExpired(NotSignedIn):
    """The sign-in is over for good: the user has to sign in again.

    `cause` says why in two or three words (`"refused"`, `"refresh token expired"`, `"no refresh token"`,
    `"answer lost"`, `"signed out elsewhere"`); `status_code` is the token endpoint's, if it answered.
    """

    def __init__(self, message: str, *, cause: str = "refused", status_code: int | None = None) -> None:
        super().__init__(message)
        self.cause = cause
        self.status_code = status_code


class LoginFailed(NotSignedIn):
    """The login did not succeed. `transient` is true when the same credentials may work later."""

    def __init__(self, message: str, *, transient: bool = False, status_code: int | None = None) -> None:
        super().__init__(message)
        self.transient = transient
        self.status_code = status_code


class SessionChanged(RxAuthError):
    """Another account, or an unknown one, signed in since this call began; nothing was sent in its name.

    The same account that signs in anew does not raise it: both access tokens name one user (`sub` or `user_id`).
    """


class SessionClosed(RxAuthError):
    """The session was closed."""


class ForkedSession(RxAuthError):
    """This process is a fork, and its session's tokens live in memory only.

    Parent and child hold one refresh token; were both to spend it, the server would take that for theft.
    """


class RefreshUnavailable(RxAuthError):
    """There is no fresh token at the moment, but the sign-in is kept.

    `retry_at` is the time (seconds since the epoch, this machine's clock) of the next attempt; calls before it fail
    at once without a request. `cause` says why in a few words; `status_code` is the token endpoint's, if it answered.

    A refresh callable may raise it too: `retry_after` is the wait in seconds that the server asks for, a number or the
    header's text (what is no number, such as a date, counts as None); `repeat` says whether the same refresh may try
    again before it gives up.
    """

    def __init__(
        self,
        message: str = "the token endpoint is not available",
        *,
        retry_at: float | None = None,
        cause: str = "unavailable",
        status_code: int | None = None,
        retry_after: float | str | None = None,
        repeat: bool = True,
    ) -> None:
        super().__init__(message)
        self.retry_at = retry_at
        self.cause = cause
        self.status_code = status_code
        self.retry_after = _seconds(retry_after)
        self.repeat = repeat


class RefreshTimeout(RefreshUnavailable):
    """The token endpoint did not answer before the refresh's deadline.

    With the cause `"wait"`: no token came within the `wait=` of a `BearerAuth`.
    """


class TooManyRefreshes(RefreshUnavailable):
    """The API refuses one new token after the other; refreshing more would not help."""


class RefreshMisconfigured(RxAuthError):
    """The token endpoint refuses this client or this kind of request (RFC 6749 section 5.2), not the user's token."""

    def __init__(
        self,
        message: str,
        *,
        cause: str = "misconfigured",
        status_code: int | None = None,
        retry_at: float | None = None,
    ) -> None:
        super().__init__(message)
        self.cause = cause
        self.status_code = status_code
        self.retry_at = retry_at


class RefresherError(RxAuthError):
    """The refresh callable raised an exception that is neither HTTP's nor ours; it is the `__cause__`.

    The server may have spent the refresh token before that, so nothing is posted until `retry_at` (seconds since the
    epoch, this machine's clock); calls before it get this error again. `cause` is `"in_doubt"`, or `"not called"` for a
    function that does not take the tokens: then `retry_at` is None, and the next call tries again.
    """

    def __init__(self, message: str, *, cause: str = "in_doubt", retry_at: float | None = None) -> None:
        super().__init__(message)
        self.cause = cause
        self.retry_at = retry_at


class RefreshRefused(RxAuthError):
    """Raise it in a refresh callable: the refresh token is no good any more, the user must sign in again."""

    def __init__(self, message: str = "the refresh token was refused", *, status_code: int | None = None) -> None:
        super().__init__(message)
        self.status_code = status_code


class TokenRejected(RxAuthError):
    """Raise it in an effect behind `Session.gate`: the server refused the access token it was given."""

    def __init__(self, message: str = "the access token was refused", *, response: Any = None) -> None:
        super().__init__(message)
        self.response = response


class TooManyWaiting(RxAuthError):
    """An item came to a `Session.gate` at which as many wait already as its `waiting=` allows; it was not run."""


class OriginNotAllowed(RxAuthError):
    """The access token is not sent to this origin."""


class NotReplayable(RxAuthError):
    """The token was refreshed, but this request's body can be read only once, so the request was not sent again."""


class WouldDeadlock(RxAuthError, RuntimeError):
    """A blocking wait for a refresh on the thread that performs it."""


class InvalidTokens(RxAuthError, ValueError):
    """Tokens, or a token endpoint's answer, of a shape that can not be used."""


class UnsendableTokens(InvalidTokens):
    """The answer's `token_type` is one that a header alone cannot carry (RFC 6749 section 7.1), such as DPoP."""


class InvalidRecording(RxAuthError):
    """A recording is of another version, is damaged, or does not begin at the beginning."""


class TooManySessions(RxAuthError):
    """There is no room for another session, and none can be closed without losing its tokens."""


class StorageError(RxAuthError):
    """A token storage can not be used: the text names what is wrong with it and what to do. Nothing was overwritten."""


class SectionLost(StorageError):
    """The lease of the exclusive section has run out, and somebody else has entered it. Nothing was written."""


class InvalidRecord(StorageError):
    """What is stored is damaged, or was written by a newer version. It is left as it is."""


class ForeignRecord(StorageError):
    """What is stored are the tokens of another token endpoint. They are left as they are, and not sent to this one."""


class StorageInUse(StorageError, ValueError):
    """A `MemoryStorage` was given to a second session while the first one lives."""


class UnsafeStorage(StorageError):
    """Others than its owner could read or change what is stored there."""


class ApiError(RxAuthError):
    """An `ApiCall` that did not succeed; the subclass tells the phase. `__cause__` is the original exception."""

    def __init__(self, message: str, *, response: Any = None) -> None:
        super().__init__(message)
        self.response = response


class ApiRequestError(ApiError):
    """The call could not be turned into a request: `request(state)` raised, or returned no `Request`."""


class ApiNetworkError(ApiError):
    """The request got no answer."""


class ApiStatusError(ApiError):
    """The answer's status is not ok. `response` and `status_code` hold the answer."""

    def __init__(self, message: str, *, response: Any = None, status_code: int = 0) -> None:
        super().__init__(message, response=response)
        self.status_code = status_code


class ApiDecodingError(ApiError):
    """The answer's status is ok, but `parse(response)` could not read it."""


class CallCancelled(RxAuthError):
    """The awaited call was cancelled: its epic was closed, or a newer call took its place (policy `latest`)."""


class CallSkipped(RxAuthError):
    """The awaited call was never sent: it bailed out, or its policy dropped it. `why` says which."""

    def __init__(self, message: str, *, why: str = "") -> None:
        super().__init__(message)
        self.why = why


class StoreError(RxAuthError):
    """Something is wrong with the way the store is used."""


class StoreClosed(StoreError):
    """The store was closed, so it takes no more actions."""


class StoreNeverCompletes(StoreError, TypeError):
    """A store is a stream without an end, so it can be neither awaited nor run."""


class ReducerError(StoreError, RuntimeError):
    """A reducer that dispatches, reads the store, or returns nothing."""


class InvalidEpic(StoreError, TypeError):
    """An epic is a function of (actions, state) that returns an Observable of actions."""


class EndlessEpic(StoreError, RuntimeError):
    """An epic answers its own answers without end. It was stopped; the store and its other epics go on."""


class InvalidAction(StoreError, TypeError):
    """What an epic or a source emitted is no action."""


class InvalidCall(StoreError, TypeError):
    """An `ApiCall` class that can not be used as it is declared."""


class InvalidState(StoreError, TypeError):
    """The state class given to `combine_reducers` does not fit its reducers."""


class MissingSlice(StoreError, TypeError):
    """The store's state has no `AuthState` where the session looks for it, its reducer does not handle the session's
    events there, or another session lives in that one."""


class NoApiEpic(StoreError, LookupError):
    """Nobody answers this call: no `api_epic` was added to the store."""


def _seconds(stated: float | str | None) -> float | None:
    try:
        seconds = float(stated)  # type: ignore[arg-type]  # None is no number either
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds < math.inf else None
