"""An app to inspect, as the cells of a notebook, and the inspector in a page as its user sees it."""

from __future__ import annotations

from typing import Any

from host_kit import PATIENCE

APP = """
import asyncio, threading
from dataclasses import dataclass
import httpx
from rxauth import ApiSucceeded, AuthState, Request, Session, Store
from rxauth import api_epic, auth_reducer, call, combine_reducers, simplejwt
from rxauth.session import Refresh
from rxauth.notebook.inspector import inspect
from rxauth.notebook import live
from rxauth.testing import TokenServer

@dataclass(frozen=True)
class Add:
    item: int

@dataclass(frozen=True)
class App:
    auth: AuthState = AuthState(session="billing-api")
    items: tuple = ()

def items(state, action):
    return (*state, action.item)[-5:] if isinstance(action, Add) else state

server = TokenServer(life=300, token_latency=0.4, api_latency=0.1)
store = Store(combine_reducers(App, auth=auth_reducer, items=items), App())
session = Session(simplejwt("https://api.example.com", transport=server.transport), name="billing-api",
                  store=store, select=lambda app: app.auth)
client = httpx.AsyncClient(base_url="https://api.example.com", transport=server.transport)
epic = store.add_epic(api_epic(client, session, max_in_flight=20))
"""
INSPECT = "inspector = inspect(store)\ninspector"
BURST = """
await session.login(username="ada", password="lovelace")
for n in range(31):
    store.dispatch(Add(n))
await session.replace(session.auth.tokens)
for _ in range(20):
    store.dispatch(call(Request.get("/api/me/")))
async with asyncio.timeout(30):
    while server.posts < 1 or inspector.recording.of_type(ApiSucceeded).__len__() < 20:
        await asyncio.sleep(0.05)
"""
ROOT = ".rxi"


class View:
    """The inspector in a page, as its user sees it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.root = page.locator(ROOT).first

    @property
    def pill(self) -> str:
        return str(self.root.get_by_role("status").inner_text())

    def expect(self, condition: str, argument: object = None) -> None:
        """Wait until this is true of the root, as JavaScript: `(root, argument) => condition`."""
        self.page.wait_for_function(
            f"([selector, argument]) => {{ const find = (node) => node.querySelector(selector) || [...node."
            "querySelectorAll('*')].map((one) => one.shadowRoot && find(one.shadowRoot)).find(Boolean);"
            f"const root = find(document); return root && (({condition})); }}",
            arg=[ROOT, argument],
            timeout=PATIENCE,
        )

    def expect_text(self, text: str) -> None:
        self.expect("root.innerText.includes(argument)", text)

    def expect_step(self, number: int, label: str = "") -> None:
        """Wait until this step is selected, its details are there, and its line is one of these."""
        self.expect("root.dataset.step === String(argument)", number)
        chosen = "root.querySelector('[role=option][aria-selected=true] .label')?.innerText"
        self.expect(f"{chosen}?.startsWith(argument)", label)
