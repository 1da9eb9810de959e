"""What an API call is, and the actions that answer it."""

from __future__ import annotations

import dataclasses
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar, cast, get_args

from rxauth.errors import InvalidCall
from rxauth.redaction.display import Shown

R_co = TypeVar("R_co", covariant=True)

Auth = Literal["required", "if_signed_in", "none"]
AUTHS: tuple[str, ...] = get_args(Auth)


@dataclass(frozen=True, slots=True)
class Request:
    """A request to make, as httpx takes it: `Request.post("/api/echo/", json={...}, headers={...})`.

    A relative `url` is joined to the client's `base_url`. `repr` shows the method and the URL only.
    """

    method: str
    url: str
    params: Any = field(default=None, repr=False)
    headers: Any = field(default=None, repr=False)
    json: Any = field(default=None, repr=False)
    data: Any = field(default=None, repr=False)
    content: Any = field(default=None, repr=False)
    files: Any = field(default=None, repr=False)
    timeout: Any = field(default=None, repr=False)

    @classmethod
    def get(cls, url: str, **options: Any) -> Self:
        return cls("GET", url, **options)

    @classmethod
    def post(cls, url: str, **options: Any) -> Self:
        return cls("POST", url, **options)

    @classmethod
    def put(cls, url: str, **options: Any) -> Self:
        return cls("PUT", url, **options)

    @classmethod
    def patch(cls, url: str, **options: Any) -> Self:
        return cls("PATCH", url, **options)

    @classmethod
    def delete(cls, url: str, **options: Any) -> Self:
        return cls("DELETE", url, **options)

    def build(self, client: Any) -> Any:
        """The client's own request object."""
        timeout = {} if self.timeout is None else {"timeout": self.timeout}  # None would mean no timeout at all
        return client.build_request(
            self.method,
            self.url,
            params=self.params,
            headers=self.headers,
            json=self.json,
            data=self.data,
            content=self.content,
            files=self.files,
            **timeout,
        )


class ApiCall(Generic[R_co]):
    """One endpoint, as an action. `R_co` is what a successful call brings.

        @dataclass(frozen=True)
        class Echo(ApiCall[dict[str, str]]):
            message: str

            def request(self, state: App) -> Request:
                return Request.post("/api/echo/", json={"message": self.message})

    `auth`: `"required"` waits for a fresh token; `"if_signed_in"` does so when somebody is signed in and is sent bare
    otherwise; `"none"` is always sent bare (login, register).
    """

    auth: ClassVar[Auth] = "required"

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if cls not in _checked:
            _check_class(cls)
        return super().__new__(cls)

    def request(self, state: Any) -> Request:
        """What to send. It is made after the gate, so `state` holds the tokens that the call goes out with."""
        raise NotImplementedError(f"{type(self).__name__} needs a method request(self, state) that returns a Request")

    def should_send(self, state: Any) -> bool:
        """False bails out: the call is answered with `ApiSkipped` and nothing is sent."""
        return True

    def is_ok(self, response: Any) -> bool:
        """Is this answer a success? By default any status from 200 to 299."""
        return bool(response.is_success)

    def parse(self, response: Any) -> R_co:
        """The payload of a successful answer. By default its JSON, or None when it has no body."""
        payload: Any = response.json() if response.content else None
        return cast(R_co, payload)

    def meta(self, state: Any, response: Any = None) -> Any:
        """What the answering actions carry as `meta`; `response` is None for `ApiStarted` and where there is none."""
        return None


_checked: set[type[Any]] = set()


def _check_class(cls: type[Any]) -> None:
    declared = cls.__dict__.get("__dataclass_params__")
    if declared is None or not declared.frozen:
        what = "is no dataclass" if declared is None else "can be changed in place"
        raise InvalidCall(
            f"{cls.__name__} {what}; a call is an action, so write @dataclass(frozen=True) above class {cls.__name__}"
        )
    if "auth" not in _fields(cls) and cls.auth not in AUTHS:
        raise wrong_auth(cls, cls.auth)
    _checked.add(cls)


def wrong_auth(cls: type[Any], auth: object) -> InvalidCall:
    """What is said of an `auth` that is none of the three."""
    return InvalidCall(f"{cls.__name__}.auth must be 'required', 'if_signed_in' or 'none', got {auth!r}")


def _fields(cls: type[Any]) -> set[str]:
    return {field.name for field in dataclasses.fields(cls)}


@dataclass(frozen=True)
class AdHocCall(ApiCall[Any]):
    """A call without a class of its own; see `call`."""

    description: Request

    def request(self, state: Any) -> Request:
        return self.description


@dataclass(frozen=True)
class _AdHocIfSignedIn(AdHocCall):
    auth = "if_signed_in"


@dataclass(frozen=True)
class _AdHocBare(AdHocCall):
    auth = "none"


def call(request: Request, *, auth: Auth = "required") -> AdHocCall:
    """An `ApiCall` for once: `store.dispatch(call(Request.get("/api/me/")))`.

    `auth` is that of `ApiCall`: `"required"`, `"if_signed_in"` or `"none"`. Raises `InvalidCall` for anything else.
    """
    if not isinstance(request, Request):
        raise InvalidCall(f"call() takes a Request, got {type(request).__name__}; write call(Request.get('/api/me/'))")
    kinds = {"required": AdHocCall, "if_signed_in": _AdHocIfSignedIn, "none": _AdHocBare}
    if auth not in kinds:
        raise InvalidCall(f"auth must be 'required', 'if_signed_in' or 'none', got {auth!r}")
    return kinds[auth](request)


@dataclass(frozen=True, slots=True)
class ApiEvent(Shown, Generic[R_co]):
    """What became of one dispatch of `call`. `id` tells apart several dispatches of the same object."""

    call: ApiCall[R_co]
    id: int = field(kw_only=True, default=0)
    meta: Any = field(kw_only=True, default=None)


@dataclass(frozen=True, slots=True)
class ApiStarted(ApiEvent[R_co]):
    """The call was taken on; exactly one of the others follows."""


@dataclass(frozen=True, slots=True)
class ApiSucceeded(ApiEvent[R_co]):
    """The server answered, and `payload` is what `call.parse` made of it."""

    payload: R_co
    response: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApiFailed(ApiEvent[R_co]):
    """The call failed: an `ApiError` by phase, or an error of the gate."""

    error: Exception


@dataclass(frozen=True, slots=True)
class ApiCancelled(ApiEvent[R_co]):
    """The call was cancelled: its epic closed, or the policy `latest` prefers a newer one."""


@dataclass(frozen=True, slots=True)
class ApiSkipped(ApiEvent[R_co]):
    """The call was never sent, and never started. `why` is `"bailed out"` or `"dropped"` (policy `first`)."""

    why: str


def check_not_async(result: Any, method: str) -> None:
    """Raise a TypeError if this is what an async function returns: a call's methods are ordinary ones."""
    if isinstance(result, Coroutine):
        result.close()
        raise TypeError(f"{method}() must not be async; what has to be waited for goes into an epic or the gate")


def _path(url: str) -> str:
    """Without host and query, which may hold secrets; for any text, because what is no URL fails later."""
    path = url.partition("#")[0].partition("?")[0]
    return path if "://" not in path else "/" + path.partition("://")[2].partition("/")[2]


def describe(call: ApiCall[Any]) -> str:
    """The call's class, for messages: its fields may hold what is nobody's business. One without a class of its own is
    told by its method and path."""
    if isinstance(call, AdHocCall):
        return f"{call.description.method} {_path(str(call.description.url))}"
    return type(call).__name__
