"""What the demo does, and what it has seen when it is over."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from reactivex import operators as ops
from rich.console import Console
from rich.live import Live

from rxauth import (
    ApiCall,
    ApiFailed,
    ApiSucceeded,
    Request,
    Session,
    Store,
    api_epic,
    auth_reducer,
    combine_reducers,
    simplejwt,
)
from rxauth.demo.backend import Backend
from rxauth.demo.seen import App, Seen, Totals
from rxauth.demo.view import panel, summary, timeline
from rxauth.errors import LoginFailed
from rxauth.notebook.marbles.diagram import marbles
from rxauth.recording.record import record
from rxauth.session.actions import RefreshStarted, SessionEnded, TokensRefreshed


@dataclass(frozen=True)
class Echo(ApiCall[dict[str, Any]]):
    number: int

    def request(self, state: Any) -> Request:
        return Request.post("/api/echo/", json={"message": str(self.number)})


def count_answered(count: int, action: Any) -> int:
    return count + 1 if isinstance(action, ApiSucceeded) else count


def count_failed(count: int, action: Any) -> int:
    return count + 1 if isinstance(action, ApiFailed) else count


class ServerCounts:
    """What the embedded server counted."""

    def __init__(self, server: Backend) -> None:
        self.server = server

    def totals(self) -> Totals:
        counts = self.server.counts()
        return Totals(counts.calls, counts.answers, counts.refreshes, "the server")


class CountingTransport(httpx.HTTPTransport):
    """Counts the requests to the token endpoint, for a server whose counts we can not ask."""

    posts = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.posts += request.url.path.endswith("/refresh/")
        return super().handle_request(request)


@dataclass(frozen=True, slots=True)
class Scene:
    """The stage: a server, a user, and how many calls, `apart` seconds from each other.

    `server` is None for a server that is not ours.
    """

    url: str
    user: str
    password: str = field(repr=False)
    calls: int
    server: ServerCounts | None
    apart: float = 0.0


async def play(scene: Scene, out: Console, picture: Path | None = None) -> int:
    """Run the demo. Returns 0 if the counts are what they should be, else 1; `picture` is where to draw the calls."""
    transport = CountingTransport()
    seen = Seen()
    async with Store(
        combine_reducers(App, auth=auth_reducer, answered=count_answered, failed=count_failed), App()
    ) as store:
        refresher = simplejwt(scene.url, transport=transport)
        session = Session(refresher, store=store, select=lambda app: app.auth, origins=[scene.url])
        hooks: dict[str, Any] = {"request": [lambda request: _note_sent(request, seen)]}
        async with httpx.AsyncClient(base_url=scene.url, timeout=60, event_hooks=hooks) as client:
            store.add_epic(api_epic(client, session))
            _watch(store, seen)
            out.print(f"[bold]rxauth[/] against {'Django + simplejwt' if scene.server else scene.url}")
            if not await _sign_in(scene, session, out):
                return 1
            seen.began = time.monotonic()
            show = Live(
                console=out, refresh_per_second=12, get_renderable=lambda: panel(store.state, seen, scene.calls)
            )
            with record(store) as storm, show:
                for number in range(scene.calls):
                    store.dispatch(Echo(number))
                    if scene.apart:
                        await asyncio.sleep(scene.apart)
                await _until(store, lambda app: app.answered + app.failed >= scene.calls)
            out.print(timeline(seen, scene.calls))
            if picture is not None:
                marbles(storm).save(picture)
            totals = scene.server.totals() if scene.server else _client_totals(store.state, seen, transport)
            good = (totals.calls, totals.answers, totals.refreshes) == (scene.calls, scene.calls, 1)
            out.print(summary(totals, good))
            if scene.server is not None:
                good &= await _revoked(scene.server, store, seen, out)
        session.close()
    return 0 if good else 1


async def _sign_in(scene: Scene, session: Session[App], out: Console) -> bool:
    try:
        tokens = await session.login(username=scene.user, password=scene.password)
    except LoginFailed as error:
        out.print(f"[red]{error}[/]")
        return False
    life = tokens.life or 0.0
    if scene.server is not None or 0 < life <= 15:
        out.print(f"signed in as {scene.user}; the access token lives {life:g} s: waiting until it has expired")
        await asyncio.sleep(life + 0.2)
    else:
        out.print(f"signed in as {scene.user}; the access token lives {life:g} s: treating it as expired")
        await session.sign_in(replace(tokens, expires_at=time.time() - 1, received=None))
    return True


async def _revoked(server: ServerCounts, store: Store[App], seen: Seen, out: Console) -> bool:
    """End the session at the server, and show what an app would see."""
    server.server.revoke()
    server.server.reset_counts()
    done = store.state.answered + store.state.failed
    out.print("\nthe server now revokes the session; ten more calls:")
    for number in range(10):
        store.dispatch(Echo(1000 + number))
    await _until(store, lambda app: app.answered + app.failed >= done + 10)
    counts = server.server.counts()
    good = seen.ended == 1 and counts.refused_refreshes == 1 and seen.errors == {"SessionExpired": 10}
    kinds = ", ".join(f"{count} x {name}" for name, count in seen.errors.items())
    mark = "[green]✓[/]" if good else "[red]✗[/]"
    out.print(f"  {mark} {seen.ended} SessionEnded action, where an app shows its login page")
    out.print(f"    {kinds}; {counts.refused_refreshes} refused refresh at the server, no loop")
    out.print(f"    [dim]{store.state.auth.error}[/]")
    return good


def _watch(store: Store[App], seen: Seen) -> None:
    actions = store.actions
    actions.of_type(Echo).subscribe(lambda echo: seen.note_queued(echo.number))
    actions.of_type(ApiSucceeded, ApiFailed).subscribe(lambda over: _note_done(over, seen))
    actions.of_type(RefreshStarted).subscribe(lambda _: seen.refreshes.append([seen.now()]))
    actions.of_type(TokensRefreshed).subscribe(lambda _: seen.refreshes[-1].append(seen.now()))
    actions.of_type(SessionEnded).subscribe(lambda _: setattr(seen, "ended", seen.ended + 1))


async def _note_sent(request: httpx.Request, seen: Seen) -> None:
    seen.sent[int(json.loads(request.content)["message"])] = seen.now()


def _note_done(over: Any, seen: Seen) -> None:
    seen.done.setdefault(over.call.number, seen.now())
    if isinstance(over, ApiFailed):
        seen.errors[type(over.error).__name__] += 1


def _client_totals(app: App, seen: Seen, transport: CountingTransport) -> Totals:
    return Totals(len(seen.queued), app.answered, transport.posts, "the client")


async def _until(store: Store[App], condition: Any) -> None:
    await store.pipe(ops.first(condition))
