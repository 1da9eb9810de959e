"""A server and its secrets, cells that fail on it, and what tools print of an error without the cell's own part."""

from __future__ import annotations

import asyncio
import io
import json
import re
import socket
import ssl
import traceback
from ast import PyCF_ALLOW_TOP_LEVEL_AWAIT
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

import httpx
from IPython.core.ultratb import VerboseTB
from rich.console import Console
from rich.traceback import Traceback

from rxauth import ApiCall, AuthState, BearerAuth, Request, Session, Store, Tokens, api_epic, auth_reducer, simplejwt
from rxauth.storage import Record
from rxauth.testing import TokenServer, faults

#: So much of a secret in a row is a leak. A JWT has its own in its last part; of the others any beginning is one.
WINDOW = 9
JWT = "eyJhbGciO"
#: Colours, which would stand in the middle of a secret.
ANSI = re.compile(r"\x1b\[[0-9;]*m")
#: For clients that only speak plain http here: no certificates, which take longer to load than the rest.
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
PASSWORD = "Hy63jRcSe-password"


class Secrets:
    """What nobody may see, and whether a text shows it."""

    def __init__(self, *secrets: str) -> None:
        self.known: set[str] = {JWT, *secrets}

    def add(self, *secrets: str | None) -> None:
        self.known.update(secret for secret in secrets if secret)

    def of(self, tokens: Any) -> Any:
        """Take note of a pair, and hand it on."""
        self.add(tokens.access, tokens.refresh)
        return tokens

    def in_text(self, text: str) -> list[str]:
        """The secrets of which a part is in the text."""
        return sorted(secret for secret in self.known if any(part in text for part in _parts(secret)))


def _parts(secret: str) -> list[str]:
    start = secret.rfind(".") + 1
    return [secret[at : at + WINDOW] for at in range(start, max(start, len(secret) - WINDOW) + 1)]


@dataclass(frozen=True)
class Nowhere(ApiCall[Any]):
    """A call that is answered 404."""

    def request(self, state: Any) -> Request:
        return Request.post("/nowhere/", json={"password": PASSWORD})


class BrokenStorage:
    """Loads nothing, and fails to save."""

    def load(self) -> Record | None:
        return None

    def save(self, record: Record, replaces: Any = None) -> bool:
        raise OSError("the disk is full")

    def clear(self, sign_in: str) -> None:
        raise OSError("the disk is full")


class Desk:
    """What a cell has at hand: sessions and clients of one server. Its repr shows nothing."""

    def __init__(self) -> None:
        self.server = TokenServer(password=PASSWORD)
        self.secrets = Secrets(PASSWORD)
        self.reported: list[Exception] = []
        self._open: list[Any] = []
        self._bound: socket.socket | None = None

    def session(self, fault: faults.Fault | None = None, *, expired: bool = True, **options: Any) -> Session[Any]:
        """A session that has to refresh at once, on a server that meets it with `fault`."""
        self.server.always(fault)
        refresher = options.pop("refresher", None) or simplejwt(options.pop("url", self.server.url))
        pair = self._pair(expired)
        return Session(refresher, tokens=pair, **{"tries": 1, **options})

    def _pair(self, expired: bool) -> Tokens:
        given = self.secrets.of(self.server.issue(expired=expired))
        return Tokens(given.access, given.refresh)

    def client(self, fault: faults.Fault | None = None, **options: Any) -> httpx.Client:
        auth = BearerAuth(self.session(fault, **options))
        return self._keep(httpx.Client(base_url=self.server.url, auth=auth, verify=PLAIN))

    def async_client(self, fault: faults.Fault | None = None, **options: Any) -> httpx.AsyncClient:
        auth = BearerAuth(self.session(fault, **options))
        return self._keep(httpx.AsyncClient(base_url=self.server.url, auth=auth, verify=PLAIN))

    def refused(self, client: Any) -> Any:
        """The client, whose fresh token the API does not take."""
        self.server.revoke_access()
        return client

    def store(self, fault: faults.Fault | None = None, *, base_url: str | None = None, **options: Any) -> Store[Any]:
        """A store with an api epic, to be used on a running loop."""
        store = Store(auth_reducer, AuthState(), report=lambda error, where, action: self.reported.append(error))
        session = self.session(fault, store=store, select=lambda state: state, **options)
        client = httpx.AsyncClient(base_url=base_url or self.server.url, verify=PLAIN)
        store.add_epic(api_epic(self._keep(client), session))
        return store

    def credentials(self) -> dict[str, str]:
        return {"username": "somebody else", "password": self.server.password}

    def next_pair(self) -> dict[str, str]:
        """An answer of the token endpoint that can not be used: no token ends with a blank."""
        self.secrets.add("Vn82wBqTz-next-access", "Gp57sMkYd-next-refresh")
        return {"access": "Vn82wBqTz-next-access ", "refresh": "Gp57sMkYd-next-refresh"}

    def nobody(self) -> str:
        """The URL of a port that refuses connections, and that nobody else can take meanwhile."""
        if self._bound is None:
            self._bound = socket.socket()
            self._bound.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{self._bound.getsockname()[1]}"

    def close(self) -> None:
        self.server.close()
        if self._bound is not None:
            self._bound.close()

    def _keep(self, client: Any) -> Any:
        self._open.append(client)
        return client

    async def close_clients(self) -> None:
        """To be called on the loop on which they were used."""
        while self._open:
            client = self._open.pop()
            await client.aclose() if isinstance(client, httpx.AsyncClient) else client.close()

    def note(self) -> None:
        """Take note of what the server has given out since."""
        self.secrets.add(self.server.current_refresh)

    def save(self, path: str) -> None:
        """Write the secrets down, for the process that looks for them."""
        self.note()
        Path(path).write_text(json.dumps(sorted(self.secrets.known)))


def run_cell(code: str, desk: Desk) -> Exception:
    """Run a cell as a notebook would, top-level `await` included, in asyncio's debug mode; returns what it raised."""
    names: dict[str, Any] = {"desk": desk, "__name__": "cell"}
    exec(PREAMBLE, names)

    async def main() -> None:
        try:
            result = eval(compile(code, "cell", "exec", PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
            if result is not None:
                await result
        finally:
            await desk.close_clients()

    try:
        asyncio.run(main(), debug=True)
    except Exception as error:
        desk.note()
        return error
    raise AssertionError("the cell did not fail")


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it goes back to, by cause, by context, or as the member of a group."""
    queue: list[BaseException | None] = [error]
    seen: set[int] = set()
    while queue:
        link = queue.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            yield link
            queue += [link.__cause__, link.__context__, *getattr(link, "exceptions", ())]


def without_the_cell(error: BaseException) -> BaseException:
    """The error without the frames of the cell, or the test, and of what runs it: what they hold is the user's."""
    for link in chain(error):
        link.__traceback__ = _theirs(link.__traceback__)
    return error


def _theirs(trace: TracebackType | None) -> TracebackType | None:
    if trace is None:
        return None
    rest = _theirs(trace.tb_next)
    if trace.tb_frame.f_globals.get("__name__", "").startswith(("cell", "__main__", "test_", __name__)):
        return rest
    return TracebackType(rest, trace.tb_frame, trace.tb_lasti, trace.tb_lineno)


class Colourless(Traceback):
    """Source code is not what holds secrets, and to colour whole files of it takes longer than all the rest."""

    LEXERS: ClassVar = {".py": "text"}


def everything_shown(error: BaseException) -> str:
    """All that the usual tools would print of an error and of the frames that it holds on to."""
    without_the_cell(error)
    texts = list(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    console = Console(file=io.StringIO(), width=400)
    console.print(Colourless.from_exception(type(error), error, error.__traceback__, show_locals=True,
                                            locals_max_string=None, locals_max_length=None, extra_lines=0))  # fmt: skip
    texts.append(console.file.getvalue())  # type: ignore[attr-defined]
    notebook = VerboseTB(theme_name="nocolor", include_vars=True)
    notebook.context = 9  # more lines of each frame than a notebook asks for, so more variables
    texts.append(ANSI.sub("", notebook.text(type(error), error, error.__traceback__)))
    for link in chain(error):
        texts += [str(link), repr(link), repr(link.args), repr(vars(link)), *getattr(link, "__notes__", ())]
        for frame, _ in traceback.walk_tb(link.__traceback__):
            texts += [f"{name}={value!r}" for name, value in frame.f_locals.items()]
    return "\n".join(texts)


#: What each cell may use.
PREAMBLE = """
import asyncio, pickle, reactivex
from reactivex import operators as ops
from rxauth import AuthState, Session, Store, Tokens, auth_reducer, simplejwt
from rxauth.session import SignedIn
from rxauth.api import request
from rxauth.testing import faults
from tests.system.security.security_kit import BrokenStorage, Nowhere
"""
