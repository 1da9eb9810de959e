"""`TokenServer`: a token server and an API behind it, with faults on demand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import get_args

from rxauth.concurrency.closing import Closing
from rxauth.concurrency.runtime import Runtime
from rxauth.testing.server.faults import Fault
from rxauth.testing.server.handler import Desk, Hold, Recorded, is_login, is_refresh
from rxauth.testing.server.rotation import Pair, Reuse, Rotation
from rxauth.testing.server.sockets import Listener
from rxauth.testing.server.transport import Transport


def _check_fault(fault: object) -> None:
    if fault is not None and not isinstance(fault, Fault):
        raise TypeError(
            f"a fault is made by rxauth.testing.server.faults, such as faults.unavailable(503); got {fault!r}"
        )


class TokenServer(Closing):
    """One server with two faces: `url`, a real loopback port, and `transport`, in this process. A context manager.

    It speaks simplejwt (`POST /api/token/`, `/api/token/refresh/`, `/api/token/blacklist/`, JSON) and OAuth 2
    (`POST /oauth/token`, `/oauth/revoke`, forms). Its API: `GET /api/me/`, `POST`, `PUT` and `PATCH /api/echo/` (the
    body comes back), `GET /api/slow/?seconds=1` (`&check=late` looks at the token afterwards),
    `GET /api/redirect/?to=URL` and `GET /api/public/`. Any other address is 404, whoever asks, and another method 405.

    All times in seconds. `life` of the access tokens (exact; the JWT's `exp` is cut to whole seconds), `refresh_life`;
    `token_latency` and `api_latency` of the answers; `clock_offset` is how far the server's clock is ahead of ours;
    `rotate` and `reuse` are the policy for refresh tokens: a spent one that comes again ends the sign-in
    (`"revoke_family"`), is refused (`"reject"`) or brings a pair once more (`"allow"`). With `revoke_on_rotate` a
    refresh ends the access token of before. `date_header`: each answer has the time of the server's clock. `user` and
    `password` are what a login needs.

    With `time=VirtualTime()` the server's clock and the latencies of `transport` are virtual; those of `url` are real.
    """

    def __init__(
        self,
        *,
        life: float = 300.0,
        refresh_life: float = 86400.0,
        token_latency: float = 0.0,
        api_latency: float = 0.0,
        rotate: bool = True,
        reuse: Reuse = "revoke_family",
        revoke_on_rotate: bool = False,
        clock_offset: float = 0.0,
        date_header: bool = True,
        user: str = "ada",
        password: str = "lovelace",
        time: Runtime | None = None,
    ) -> None:
        if reuse not in get_args(Reuse):
            raise ValueError(f"reuse must be one of {', '.join(get_args(Reuse))}; got {reuse!r}")
        self.user, self.password = user, password
        clock = time or Runtime()
        rotation = Rotation(
            lambda: clock.now().wall + clock_offset,
            life=life,
            refresh_life=refresh_life,
            rotate=rotate,
            reuse=reuse,
            revoke_on_rotate=revoke_on_rotate,
            user=user,
        )
        self._desk = Desk(
            clock,
            rotation,
            user=user,
            password=password,
            token_latency=token_latency,
            api_latency=api_latency,
            clock_offset=clock_offset,
            date_header=date_header,
        )
        #: For `httpx.Client(transport=...)`, `httpx.AsyncClient(transport=...)` and `simplejwt(..., transport=...)`;
        #: it serves any host name.
        self.transport = Transport(self._desk, clock)
        self._listener: Listener | None = None
        self._opening = threading.Lock()
        self._closed = False

    @property
    def url(self) -> str:
        """`http://127.0.0.1:port`: the port is opened when this is first asked for."""
        with self._opening:
            if self._listener is None:
                if self._closed:
                    raise RuntimeError("this TokenServer is closed; ask for its url inside of the with block")
                self._listener = Listener(self._desk)
            return self._listener.url

    @property
    def token_url(self) -> str:
        """The OAuth 2 token endpoint."""
        return f"{self.url}/oauth/token"

    # -- what a test says ------------------------------------------------------------------------------------------

    def issue(self, *, expired: bool = False, user: str | None = None) -> Pair:
        """A signed-in pair without a request; `expired`: with a stale access token.

        `user` is the account that the access token names in its claim `sub`. Without it the first sign-in of this
        server is that of `server.user`, and each pair issued after it is another account's, as in a user switch.
        """
        with self._desk.lock:
            rotation = self._desk.rotation
            if user is None and rotation.sign_ins:
                user = f"{self.user}-{rotation.sign_ins + 1}"
            return rotation.sign_in(expired=expired, user=user)

    def script(self, *faults: Fault | None) -> None:
        """The next requests to the token endpoint meet these, in order (None: nothing); then all is well again."""
        for fault in faults:
            _check_fault(fault)
        with self._desk.lock:
            self._desk.script.extend(fault or Fault() for fault in faults)

    def always(self, fault: Fault | None) -> None:
        """Every request to the token endpoint that no script is for meets this."""
        _check_fault(fault)
        self._desk.always = fault

    def hold(self, *paths: str, until: Callable[[], object], at_most: float = 10.0) -> None:
        """Answers on these paths wait until `until()` is true, at most for so many seconds since their request came.

        For a test in real time that must not depend on how quick the machine is: `server.hold("/api/me/",
        until=lambda: len(server.api_calls) >= 20)` has twenty calls on the wire at once. `until` is asked again and
        again, on a thread of the server's.
        """
        for path in paths:
            self._desk.holds[path] = Hold(until, at_most)

    def revoke_access(self) -> None:
        """Refuse every access token given out so far; the refresh tokens stay good."""
        with self._desk.lock:
            self._desk.rotation.revoke_access()

    def revoke_family(self) -> None:
        """End every sign-in: no token given out so far is good any more."""
        with self._desk.lock:
            self._desk.rotation.end_all()

    def reject_all_api(self, status: int | None = 401) -> None:
        """Let the API answer this whatever the token (None: no more)."""
        self._desk.reject_all = status

    def reset_counts(self) -> None:
        """Forget what was recorded."""
        with self._desk.lock:
            self._desk.recorded.clear()

    # -- what a test asks ------------------------------------------------------------------------------------------

    @property
    def requests(self) -> list[Recorded]:
        """Everything asked so far, in order of arrival."""
        with self._desk.lock:
            return list(self._desk.recorded)

    @property
    def posts(self) -> int:
        """How many requests for a refresh reached the token endpoint."""
        return sum(1 for seen in self.requests if is_refresh(seen))

    @property
    def logins(self) -> int:
        """How many other requests for tokens did."""
        return sum(1 for seen in self.requests if is_login(seen))

    @property
    def api_calls(self) -> list[Recorded]:
        """The requests to the API."""
        return [seen for seen in self.requests if seen.path.startswith("/api/") and "/token/" not in seen.path]

    @property
    def reuses(self) -> int:
        """How often a spent refresh token came back."""
        return self._desk.rotation.reuses

    @property
    def current_refresh(self) -> str | None:
        """The refresh token given out last."""
        return self._desk.rotation.current_refresh

    def close(self) -> None:
        """Stop, and free the port. Idempotent."""
        with self._opening:
            self._closed = True
        if self._listener is not None:
            self._listener.close()
