"""`inspect(store)`: a widget that shows what a store does, and what it was like at each step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from rxauth.notebook.cells import replace_in_cell
from rxauth.notebook.follow.feed import Batches, Feed, check_source
from rxauth.notebook.follow.history import Lost, Step
from rxauth.notebook.follow.kinds import kind_of, last_bursts
from rxauth.notebook.inspector.diff import Line, changes, tree
from rxauth.notebook.live import Live, panel
from rxauth.notebook.words import clock, shorten
from rxauth.recording.eventlog import Event
from rxauth.recording.recording import Recording
from rxauth.recording.redactor import Redactor
from rxauth.session.session import Session
from rxauth.store.store import Store, log

Message: TypeAlias = dict[str, Any]

#: Seconds between two batches: a Jupyter server drops messages from 1000 a second on.
PERIOD = 0.05
#: Seconds between two savings of the small picture that stays in the notebook's file.
SAVE_EVERY = 2.0
#: Seconds without any message after which a word is sent, so that the browser knows that the kernel is there.
HEARTBEAT = 1.0
#: Seconds after the last view has gone until nothing is recorded any more, and lines of an export in one message.
REST_AFTER, EXPORT_LINES = 30.0, 500
#: How many lines of the list are in the picture that is saved, and of how many events.
SAVED_LINES, SAVED_EVENTS = 12, 1000
#: The browser's side, one module in parts.
SCRIPTS = (
    "page.js",
    "rows.js",
    "kernel.js",
    "keys.js",
    "head.js",
    "list.js",
    "detail.js",
    "hints.js",
    "overview.js",
    "inspector.js",
)
NEEDS_EXTRA = "buttons, differences and time travel come with: pip install 'rxauth[notebook]'"


def inspect(source: Store[Any] | Session[Any] | Recording, *, limit: int = 5000) -> Any:
    """A widget that follows this store, or this session's, as the last line of a cell; in marimo `mo.ui.anywidget(it)`.

    It shows the tokens, who waits, the calls, and the last `limit` actions; for each of these what it changed, which is
    replayed by the reducer alone. Recording begins now, and ends with `close()`, with the store, or half a minute
    after its last view has gone. `.step` is the number of the selected step (None: live), `.selected` says what it is.

    All happens on the event loop that runs now: the notebook's. Without anywidget it is the panel of `live`.
    """
    check_source(source, limit)
    try:
        widget = widget_class()
    except ImportError:
        return Live(source, note=NEEDS_EXTRA)
    shown = widget(source, limit=limit)
    replace_in_cell(shown, lambda before: before.remove())
    return shown


@cache
def widget_class() -> Any:
    """The widget. Raises ImportError without anywidget, which is imported here alone."""
    import anywidget
    import traitlets

    static = Path(__file__).parent / "static"

    class Inspector(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
        """The browser's side is `static/inspector.js`. What is synchronized is saved in the notebook's file, so it is
        small; all the rest goes by messages."""

        _esm = "\n".join((static / name).read_text(encoding="utf-8") for name in SCRIPTS)
        _css = (static / "inspector.css").read_text(encoding="utf-8")
        snapshot = traitlets.Dict().tag(sync=True)
        step = traitlets.Int(None, allow_none=True).tag(sync=True)
        selected = traitlets.Dict().tag(sync=True)

        def __init__(self, source: Any, *, limit: int) -> None:
            super().__init__()
            self._inspection = Inspection(source, limit, self.send, self._save)
            self.on_msg(lambda widget, message, buffers: self._inspection.received(message))

        @property
        def recording(self) -> Recording:
            """What it has recorded, to replay or save."""
            return self._inspection.feed.recording

        def close(self) -> None:
            """Stop recording. The last picture stays, and says so. Idempotent, from any thread."""
            self._inspection.close()

        def remove(self) -> None:
            """Close it, and take it out of the page."""
            self.close()
            super().close()

        def _save(self, snapshot: Message) -> None:
            self.snapshot = snapshot

        def _repr_mimebundle_(self, **kwargs: Any) -> Any:
            """With a picture for where no widget is: a notebook that is not trusted, or was exported."""
            bundle = super()._repr_mimebundle_(**kwargs)
            if not isinstance(bundle, tuple):
                return bundle
            self._inspection.feed.look()
            return {**bundle[0], **panel(self._inspection.feed)}, bundle[1]

    return Inspector


class Inspection:
    """The kernel's side of one inspector, without the widget: messages in, messages out.

    `send` takes a message for the browser, `save` the small picture. All of it happens on the event loop of the feed,
    whichever thread brings a message.
    """

    def __init__(
        self,
        source: Store[Any] | Session[Any] | Recording,
        limit: int,
        send: Callable[[Message], None],
        save: Callable[[Message], None],
    ) -> None:
        self._source, self._limit, self._send, self._save = source, limit, send, save
        self._batches = Batches()
        self._views: set[str] = set()
        self._alone_since: float | None = None
        self._resting = self._closed = False
        self._began_again = self._trouble = ""
        self._words: Message = {}
        self._sent_at = self._saved_at = 0.0
        self._saved: Message = {}
        self.feed = self._follow()

    def close(self) -> None:
        """Stop recording, and show that. Idempotent, from any thread."""
        self._closed = True
        self.feed.close()

    def received(self, message: Any) -> None:
        """A message from the browser, on whatever thread the kernel handles it."""
        self.feed.on_loop(lambda: self._safely(lambda: self._answer(message)))

    # -- messages in -----------------------------------------------------------------------------------------------

    def _answer(self, message: Message) -> None:
        match message:
            case {"type": "hello", "view": str(view)}:
                self._welcome(view)
            case {"type": "bye", "view": str(view)}:
                self._views.discard(view)
                self._alone_since = None if self._views else self.feed.seconds()
            case {"type": "select", "number": int(number)}:
                self._send(self._step(number))
            case {"type": "export"}:
                self._export(self.feed.recording.to_lines(), 0)
            case _:
                raise ValueError(f"the browser sent {message!r}, which this version of rxauth does not know")

    def _welcome(self, view: str) -> None:
        """A view that has nothing yet, or has missed something: all from the beginning."""
        self._alone_since = None
        if self._resting and not self._closed:
            self._resting = False
            self._began_again = f"not recorded until {clock(self.feed.now().wall)}: nobody looked"
            self.feed = self._follow()
        else:
            self.feed.look()
        self._views.add(view)
        self._words = self._now()
        events = list(self.feed.history.events)
        self._send_batch({**self._batches.next(events, "snapshot"), "limit": self._limit})

    def _step(self, number: int) -> Message:
        """All about one step, for the browser to show."""
        step = self.feed.history.step(number)
        if step is None:
            return {"type": "step", "number": number, "gone": True}
        at = step.event.at
        return {
            "type": "step",
            "number": number,
            "at": at,
            "kind": kind_of(step.event),
            "words": asdict(self.feed.summary_at(step.after.tally, at)),
            **_details(step),
        }

    def _export(self, lines: Iterator[str], part: int) -> None:
        """The recording as JSON lines, piece by piece: each gives the loop a chance to do other things."""
        piece = list(islice(lines, EXPORT_LINES))
        last = len(piece) < EXPORT_LINES
        text = "".join(f"{line}\n" for line in piece)
        self._send({"type": "export", "part": part, "last": last, "text": text, "name": f"{self.feed.title}.jsonl"})
        if not last:
            self.feed.soon(lambda: self._safely(lambda: self._export(lines, part + 1)))

    # -- messages out ----------------------------------------------------------------------------------------------

    def _follow(self) -> Feed:
        feed = Feed(self._source, limit=self._limit, period=PERIOD, tell=self._told, failed=self._failed)
        feed.start()
        return feed

    def _told(self, news: list[Event]) -> None:
        words = self._now()
        changed = words != self._words
        self._words = words
        if self._views and (news or changed or self.feed.seconds() - self._sent_at > HEARTBEAT):
            self._send_batch(self._batches.next(news[-self._limit :], "batch"))
        if words["over"] or self.feed.seconds() - self._saved_at > SAVE_EVERY:
            self._save_picture()
        if self._alone_since is not None and self.feed.seconds() - self._alone_since > REST_AFTER and not self._closed:
            self._alone_since, self._resting = None, True
            self.feed.close()

    def _send_batch(self, batch: Message) -> None:
        self._sent_at = self.feed.seconds()
        self._send({**batch, **self._words})

    def _now(self) -> Message:
        feed = self.feed
        return {
            "title": feed.title,
            "subtitle": feed.subtitle,
            "live": feed.is_live and not self._resting,
            "over": feed.is_over,
            "total": feed.history.last,
            "missed": feed.history.missed,
            "note": self._began_again,
            "trouble": self._trouble,
            "words": asdict(feed.summary()),
        }

    def _save_picture(self) -> None:
        """What stays in the notebook's file: a few lines, without secrets like all that was recorded."""
        lines = last_bursts(self.feed.history.events.last(SAVED_EVENTS), SAVED_LINES)
        picture = {**self._words, "live": False, "last": [[line.kinds, line.often] for line in lines]}
        if picture != self._saved:
            self._saved = picture
            self._save({**picture, "as_of": clock(self.feed.now().wall)})
        self._saved_at = self.feed.seconds()

    def _safely(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Shown in the widget: an error in a callback of a loop is in no cell."""
        self._trouble = shorten(f"The inspector itself failed: {type(error).__name__}: {Redactor()(str(error))}", 400)
        try:
            self._send({"type": "trouble", "trouble": self._trouble})
        except Exception:
            log.exception("rxauth: the inspector could not be told that it failed with %r", error)


def _details(step: Step) -> Message:
    before, after = step.before.state, step.after.state
    said: Message = {
        "action": tree(step.event.action),
        "calls": changes(_sums(step.before.tally), _sums(step.after.tally)),
    }
    if isinstance(after, Lost):
        return {**said, "diff": [], "state": [], "note": f"The state is not known here: {after.why}."}
    if isinstance(before, Lost):
        return {**said, "diff": [], "state": tree(after), "note": ""}
    changed: list[Line] = changes(before, after)
    note = "" if changed else "This step changed nothing in the state."
    if step.event.stream:
        note = "No action: no reducer saw it, so it changed nothing in the state."
    return {**said, "diff": changed, "state": tree(after), "note": note}


def _sums(tally: Any) -> dict[str, int]:
    return {
        "waiting": len(tally.waiting),
        "in flight": len(tally.in_flight),
        "answered": tally.answered,
        "failed": tally.failed,
        "refreshes": tally.refreshes,
    }
