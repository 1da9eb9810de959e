"""`live(store)`: a small panel in a notebook's cell that says where a session stands, and keeps saying it."""

from __future__ import annotations

from html import escape
from typing import Any

from rxauth.concurrency.closing import Closing
from rxauth.notebook.cells import replace_in_cell
from rxauth.notebook.follow.feed import Feed, check_source
from rxauth.notebook.follow.kinds import Burst, last_bursts
from rxauth.notebook.follow.summary import SIGNS, Summary
from rxauth.notebook.words import clock
from rxauth.recording.eventlog import Event
from rxauth.recording.recording import Recording
from rxauth.session.session import Session
from rxauth.store.store import Store

#: Seconds between two updates, how many events are kept, and how many lines of them are shown.
PERIOD, LIMIT, LINES = 0.1, 1000, 5


def live(source: Store[Any] | Session[Any] | Recording) -> Live:
    """A panel that follows this store or session, or shows this recording, as the last line of a cell.

    It is written anew at most 10 times in a second, on the event loop of the notebook, when something happened or the
    countdown moved; until `close()`, or until the store closes. What is saved with the notebook is the last picture.
    In a terminal it is a few lines of text. Raises ImportError without IPython.
    """
    try:
        import IPython  # noqa: F401
    except ImportError:
        raise ImportError("live() shows itself through IPython, which is not there: pip install ipython") from None
    check_source(source)
    shown = Live(source)
    replace_in_cell(shown, Live.close)
    return shown


class Live(Closing):
    """What `live` returns: show it as often as you like, all of its places are kept up to date."""

    def __init__(self, source: Store[Any] | Session[Any] | Recording, *, note: str = "") -> None:
        self._note = note
        self._handles: list[Any] = []
        self._shown = ""
        self._trouble = ""
        self._feed = Feed(source, limit=LIMIT, period=PERIOD, tell=self._told, failed=self._failed)
        self._feed.start()
        self._feed.look()

    def close(self) -> None:
        """Stop following. The last picture stays, and says so. Idempotent, from any thread."""
        self._feed.close()

    def _ipython_display_(self) -> None:
        from IPython.display import display  # type: ignore[attr-defined, unused-ignore]

        self._feed.look()
        handle = display(self._bundle(), raw=True, display_id=True)  # type: ignore[no-untyped-call, unused-ignore]
        if handle is not None:
            self._handles.append(handle)

    def _repr_html_(self) -> str:
        return self._bundle()["text/html"]

    def __repr__(self) -> str:
        return self._bundle()["text/plain"]

    def _told(self, news: list[Event]) -> None:
        bundle = self._bundle(with_time=False)
        if bundle["text/html"] != self._shown:
            self._shown = bundle["text/html"]
            shown = self._bundle()
            for handle in self._handles:
                handle.update(shown, raw=True)

    def _failed(self, error: Exception) -> None:
        """Said in the panel: nobody else would hear of it."""
        self._trouble = f"the panel itself failed: {type(error).__name__}: {error}"
        for handle in self._handles:
            handle.update(self._bundle(), raw=True)

    def _bundle(self, with_time: bool = True) -> dict[str, str]:
        return panel(self._feed, self._trouble or self._note, with_time=with_time)


def panel(feed: Feed, note: str = "", *, with_time: bool = True) -> dict[str, str]:
    """Where things stand, as HTML without script or style sheet and as text; with the time of day, or without."""
    words = feed.summary()
    last = last_bursts(feed.history.events.last(LIMIT), LINES)
    state = "" if feed.is_live else "closed, " if feed.is_over and feed.store is not None else "not followed, "
    as_of = f"{state}as of {clock(feed.now().wall)}" if with_time else state
    return {
        "text/html": _html(feed.title, as_of, words, last, note),
        "text/plain": _text(feed.title, as_of, words, last, note),
    }


# A notebook that is not trusted keeps a few inline styles and nothing else: no style sheet, no script, no SVG. So text
# has the colour of its surroundings, light or dark, and what is coloured brings its own background.
_CHIPS = {
    "good": "color:#0b4f2a;background-color:#c6f0d6",
    "busy": "color:#6b3600;background-color:#fde3c4",
    "bad": "color:#8a1710;background-color:#fddcd9",
    "idle": "color:#3b434b;background-color:#e3e6ea",
}
_CHIP = "display:inline-block;padding:1px 9px;border-radius:10px;font-weight:600"
_BOX = (
    "font-family:system-ui,sans-serif;font-size:13px;line-height:1.5;max-width:640px;padding:10px 14px;margin:2px 0;"
    "border:1px solid #8c959f;border-radius:8px"
)
_CELL = "text-align:left;vertical-align:top;padding:2px 12px 2px 0;border:none;background:none;white-space:normal"


def _html(title: str, as_of: str, words: Summary, last: list[Burst], note: str) -> str:
    rows = [(name, escape(value)) for name, value in _facts(words) if value]
    for token in reversed(words.tokens):
        chip = f'<span style="{_CHIP};{_CHIPS[token.tone]}">{SIGNS[token.tone]} {escape(token.status)}</span>'
        detail = f" {escape(token.detail)}" if token.detail else ""
        rows.insert(0, (token.session if len(words.tokens) > 1 else "token", chip + detail))
    if last:
        rows.append(("last actions", "<br>".join(escape(str(burst)) for burst in last)))
    if note:
        rows.append(("note", escape(note)))
    body = "".join(
        f'<tr style="background:none"><th scope="row" style="{_CELL};font-weight:400">{escape(name)}</th>'
        f'<td style="{_CELL}">{value}</td></tr>'
        for name, value in rows
    )
    head = f'<div style="font-weight:600;font-size:15px">{escape(title)}</div><div>{escape(as_of)}</div>'
    return f'<div style="{_BOX}">{head}<table style="border:none;margin:6px 0 0 0"><tbody>{body}</tbody></table></div>'


def _text(title: str, as_of: str, words: Summary, last: list[Burst], note: str) -> str:
    tokens = [
        f"{token.session if len(words.tokens) > 1 else 'token'}: {token.status}"
        + (f", {token.detail}" if token.detail else "")
        for token in words.tokens
    ]
    facts = [f"{name}: {value}" for name, value in _facts(words) if value]
    actions = [f"last actions: {', '.join(map(str, last))}"] if last else []
    return "\n".join([f"{title}: {as_of}", *tokens, *facts, *actions, *([note] if note else [])])


def _facts(words: Summary) -> list[tuple[str, str]]:
    return [
        ("waiting", f"{words.waiting} {words.waiting_detail}"),
        ("calls", f"{words.answered} answered · {words.calls_detail}"),
        ("last error", words.error),
        ("next", words.next),
    ]
