"""What a store, a session, tokens, a state and a call's outcome look like in a cell; a recording is its picture.

A card is an image: inline SVG turns into text in a notebook that is not trusted, an image with its alternative text
survives that, and exports, too. What it says is true as of the moment that it names, because it stays when it is saved.
"""

from __future__ import annotations

import base64
import dataclasses
import reprlib
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from rxauth.api.calls import AdHocCall, ApiCall, ApiCancelled, ApiEvent, ApiFailed, ApiSkipped, ApiSucceeded
from rxauth.concurrency.runtime import Instant, Runtime
from rxauth.notebook.marbles.canvas import cut, width_of
from rxauth.notebook.marbles.diagram import marbles
from rxauth.notebook.marbles.labels import wrapped
from rxauth.notebook.words import clock, shorten, until
from rxauth.recording.recording import Recording
from rxauth.recording.redactor import Redactor
from rxauth.session.explain import next_step
from rxauth.session.registry import sessions_in
from rxauth.session.session import Session
from rxauth.session.state import AuthState
from rxauth.store.store import Store
from rxauth.tokens.pair import Tokens

#: A sign for each tone, so that a card reads without colours.
_SIGNS = {"good": "✓", "busy": "↻", "bad": "✕", "idle": "–"}
_WIDTH, _LINE, _COLUMN = 640, 22, 150

#: How wide a text of bold letters is, which are of 15 pixels.
_bold = partial(width_of, size=16)

_STYLE = """
text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;fill:#1f2328}
.card{fill:#fff;stroke:#d1d9e0}.title{font-size:15px;font-weight:600}.soft{fill:#59636e}
.good{fill:#116329}.busy{fill:#9a4a00}.bad{fill:#b3261e}.idle{fill:#59636e}.status{font-weight:600}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.card{fill:#151b23;stroke:#3d444d}.soft,.idle{fill:#a6b1bd}
.good{fill:#5fd38a}.busy{fill:#f0a35e}.bad{fill:#ff8f87}}
""".strip()


@dataclass(frozen=True, slots=True)
class Card:
    """A title, a status with its tone, and rows of a name and a value. `sentence` says all that matters."""

    title: str
    status: str
    tone: str
    sentence: str
    rows: list[tuple[str, str]] = field(default_factory=list)
    note: str = ""


def bundle(value: object) -> dict[str, str]:
    """The MIME bundle of a value: an image for a notebook, a sentence for a terminal. Never raises."""
    try:
        if isinstance(value, Recording):
            return marbles(value)._repr_mimebundle_()
        shown = card(value)
    except Exception as error:  # a cell that only wants to look must not fail
        shown = Card(type(value).__name__, "can not be shown", "bad", f"{value!r} ({type(error).__name__} in its card)")
    shown = dataclasses.replace(shown, sentence=_printable(shown.sentence))
    source = base64.b64encode(draw(shown).encode()).decode()
    image = f'<img alt={quoteattr(shown.sentence)} src="data:image/svg+xml;base64,{source}">'
    return {"text/html": image, "text/plain": shown.sentence}


def card(value: object) -> Card:
    """The card of a value of this library."""
    match value:
        case Session():
            return _auth(f"Session {value.name!r}", value.auth, value.runtime.now())
        case Store():
            return _store(value)
        case AuthState():
            return _auth(f"AuthState of {value.session!r}", value, Runtime().now())
        case Tokens():
            return _tokens(value, Runtime().now())
        case ApiEvent():
            return _outcome(value)
    raise TypeError(f"{type(value).__name__} has no card")


def draw(card: Card) -> str:
    """The card as SVG."""
    lines = [(name if first else "", line) for name, value in card.rows for first, line in _wrapped(value)]
    title = wrapped(_printable(card.title), _WIDTH - 40 - (width_of(card.note, 13) + 20 if card.note else 0), _bold)
    status = wrapped(_printable(f"{_SIGNS[card.tone]} {card.status}"), _WIDTH - 40, _bold)
    below = 27 + _LINE * len(title)
    top = below + _LINE * len(status) + 6
    height = top - 15 + _LINE * len(lines) + (6 if lines else 0)
    size = f'width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label={quoteattr(card.sentence)}>',
        f"<style>{_STYLE}</style>",
        f'<rect class="card" x=".5" y=".5" width="{_WIDTH - 1}" height="{height - 1}" rx="10"/>',
        *(_text(20, 27 + _LINE * number, line, "title") for number, line in enumerate(title)),
        *(_text(20, below + _LINE * number, line, f"status {card.tone}") for number, line in enumerate(status)),
    ]
    if card.note:
        parts.append(_text(_WIDTH - 20, 27, card.note, "soft", anchor="end"))
    for number, (name, line) in enumerate(lines):
        y = top + _LINE * number
        parts += [_text(20, y, cut(name, _COLUMN - 28, 13), "soft"), _text(_COLUMN, y, line)]
    return "".join([*parts, "</svg>"])


def _text(x: int, y: int, text: str, style: str = "", anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" class="{style}" text-anchor="{anchor}">{escape(_printable(text))}</text>'


def _printable(text: str) -> str:
    """Without the control characters that XML does not allow."""
    return "".join(char if char.isprintable() else " " for char in text)


def _wrapped(value: str) -> list[tuple[bool, str]]:
    lines = wrapped(_printable(value), _WIDTH - _COLUMN - 20, partial(width_of, size=13)) or [""]
    return [(number == 0, line) for number, line in enumerate(lines)]


def _auth(title: str, auth: AuthState, now: Instant) -> Card:
    status, tone = _status(auth, now)
    rows: list[tuple[str, str]] = []
    if auth.tokens is not None:
        rows.append(("access token", f"{_life(auth.tokens, now)}; generation {auth.generation}"))
        rows.append(("refresh token", _refresh_life(auth.tokens, now)))
    if auth.error is not None:
        rows.append(("last error", _clean(f"{type(auth.error).__name__}: {auth.error}")))
    if auth.storage == "failing":
        rows.append(
            ("storage", "failing: " + ("the tokens live in memory only" if auth.tokens else "it may hold old ones"))
        )
    rows.append(("next", next_step(auth, now)))
    said = "; ".join(f"{name}: {value}" for name, value in rows)
    return Card(title, status, tone, f"{title}: {status} as of {clock(now.wall)}; {said}", rows, _as_of(now))


def _status(auth: AuthState, now: Instant) -> tuple[str, str]:
    remaining = auth.tokens.remaining(now) if auth.tokens is not None else None
    match auth.status:
        case "signed_in" if remaining is not None and remaining <= 0:
            return "signed in, the token has expired", "busy"
        case "signed_in":
            return "signed in", "good"
        case "refreshing":
            return "refreshing", "busy"
        case "signing_in":
            return "signing in", "busy"
        case "degraded":
            return "degraded: the last refresh failed", "bad"
    return "signed out", "idle" if auth.error is None else "bad"


def _tokens(tokens: Tokens, now: Instant) -> Card:
    remaining = tokens.remaining(now)
    expired = remaining is not None and remaining <= 0
    rows = [("access token", _life(tokens, now)), ("refresh token", _refresh_life(tokens, now))]
    if tokens.scope:
        rows.append(("scope", shorten(tokens.scope, 200)))
    status, tone = ("expired", "busy") if expired else ("fresh", "good")
    title = f"Tokens of generation {tokens.generation}" if tokens.generation else "Tokens"
    said = "; ".join(f"{name}: {value}" for name, value in rows)
    return Card(title, status, tone, f"{title}: {status} as of {clock(now.wall)}; {said}", rows, _as_of(now))


def _life(tokens: Tokens, now: Instant) -> str:
    remaining = tokens.remaining(now)
    return "expiry unknown" if remaining is None else until(remaining, now.wall)


def _refresh_life(tokens: Tokens, now: Instant) -> str:
    if tokens.refresh is None:
        return "there is none"
    remaining = tokens.refresh_remaining(now)
    return "expiry unknown" if remaining is None else until(remaining, now.wall)


def _store(store: Store[Any]) -> Card:
    state, sessions = store.state, sessions_in(store)
    now = sessions[0].runtime.now() if sessions else Runtime().now()
    rows = _fields(state, now)
    lead = next((session.auth for session in sessions), None) or (state if isinstance(state, AuthState) else None)
    status, tone = _status(lead, now) if lead is not None else ("open", "good")
    if store.is_closed:
        status, tone = "closed", "idle"
    title = f"Store of {type(state).__name__}"
    said = "; ".join(f"{name}: {value}" for name, value in rows)
    return Card(title, status, tone, f"{title}: {status} as of {clock(now.wall)}; {said}", rows, _as_of(now))


def _fields(state: Any, now: Instant) -> list[tuple[str, str]]:
    if isinstance(state, AuthState):
        return _auth("", state, now).rows
    if dataclasses.is_dataclass(state) and not isinstance(state, type):
        values = {one.name: getattr(state, one.name) for one in dataclasses.fields(state)}
    else:
        values = state if isinstance(state, dict) else {"state": state}
    redact = Redactor()
    rows = []
    for name, value in redact(values).items():
        inner = values[name]
        rows.append((shorten(str(name), 18), _status(inner, now)[0] if isinstance(inner, AuthState) else _short(value)))
    return rows


def _outcome(event: ApiEvent[Any]) -> Card:
    call, redact = _call_name(event.call), Redactor()
    rows: list[tuple[str, str]] = []
    match event:
        case ApiSucceeded(payload=payload, response=response):
            status, tone = f"answered {getattr(response, 'status_code', '')}".strip(), "good"
            rows.append(("payload", _short(redact({"payload": payload})["payload"])))
        case ApiFailed(error=error):
            status, tone = f"failed: {type(error).__name__}", "bad"
            rows.append(("error", _clean(str(error))))
        case ApiCancelled():
            status, tone = "cancelled before its answer came", "idle"
        case ApiSkipped(why=why):
            status, tone = f"not sent: {why}", "idle"
        case _:
            status, tone = "started", "busy"
    said = "".join(f"; {name}: {value}" for name, value in rows)
    return Card(call, status, tone, f"{call} {status}{said}", rows, f"call {event.id}")


def _call_name(call: ApiCall[Any]) -> str:
    if isinstance(call, AdHocCall):
        return shorten(f"{call.description.method} {call.description.url}".partition("?")[0], 70)
    return shorten(_short(Redactor()(call)), 70)


def _clean(text: str) -> str:
    return shorten(str(Redactor()(text)), 400)


def _short(value: Any) -> str:
    shortener = reprlib.Repr()
    shortener.maxstring = shortener.maxother = 60
    return shorten(shortener.repr(value), 190)


def _as_of(now: Instant) -> str:
    return f"as of {clock(now.wall)}"
