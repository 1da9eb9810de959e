"""`marbles(recording)`: a recording, or streams, as a picture, as text and in one sentence."""

from __future__ import annotations

import base64
import threading
from pathlib import Path
from typing import Any, get_args
from xml.sax.saxutils import quoteattr

from reactivex import Observable
from reactivex.disposable import CompositeDisposable

from rxauth.concurrency.closing import Closing
from rxauth.notebook.marbles.sentence import sentence
from rxauth.notebook.marbles.story import Story, tell
from rxauth.notebook.marbles.svg import NARROWEST, WIDTH, draw
from rxauth.notebook.marbles.text import write
from rxauth.notebook.marbles.theme import Theme
from rxauth.recording.record import Recording, spy
from rxauth.session.session import Session
from rxauth.store.store import Store
from rxauth.store.tap import ERRORS, SESSION


class Marbles(Closing):
    """A marble diagram: the last line of a cell shows it, `print(marbles(...).text)` is for a terminal.

    Of a recording it shows what was there when it was made; of streams what has come until it is looked at.
    """

    def __init__(
        self,
        recording: Recording,
        subscriptions: CompositeDisposable | None = None,
        *,
        title: str | None = None,
        width: int = WIDTH,
        theme: Theme = "auto",
    ) -> None:
        self._recording, self._subscriptions = recording, subscriptions
        self._title, self._width, self._theme = title, width, theme
        self._lock = threading.Lock()
        self._told: tuple[int, Story] | None = None
        if subscriptions is None:
            self._tell()

    @property
    def sentence(self) -> str:
        """What the picture says, in one sentence."""
        return sentence(self._tell())

    @property
    def svg(self) -> str:
        """The picture, as SVG that stands alone."""
        return draw(self._tell(), title=self._title, width=self._width, theme=self._theme)

    @property
    def text(self) -> str:
        """The picture as text of at most 100 columns, with a legend and the sentence."""
        return write(self._tell(), title=self._title)

    def save(self, path: str | Path) -> None:
        """Write it as SVG or as text, by the ending of the name: `.svg` or `.txt`. Else raises ValueError."""
        kind = Path(path).suffix.lower()
        if kind not in (".svg", ".txt"):
            raise ValueError(f"save() writes .svg and .txt, got {str(path)!r}; name it 'marbles.svg', for example")
        Path(path).write_text(self.svg if kind == ".svg" else self.text + "\n", encoding="utf-8")

    def close(self) -> None:
        """Leave the streams that have not ended; the picture stays. Idempotent, from any thread."""
        if self._subscriptions is not None:
            self._subscriptions.dispose()

    def __repr__(self) -> str:
        return f"Marbles({self.sentence})"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        # An image: inline SVG turns into a heap of text in a notebook that is not trusted.
        source = base64.b64encode(self.svg.encode()).decode()
        image = f'<img alt={quoteattr(self.sentence)} src="data:image/svg+xml;base64,{source}">'
        return {"text/html": image, "text/plain": self.text}

    def _tell(self) -> Story:
        with self._lock:
            total = self._recording.total
            if self._told is None or (self._subscriptions is not None and self._told[0] != total):
                self._told = (total, tell(self._recording))
            return self._told[1]


def marbles(
    source: Recording | Observable[Any] | None = None,
    *others: Observable[Any],
    title: str | None = None,
    width: int = WIDTH,
    theme: Theme = "auto",
    **named: Observable[Any],
) -> Marbles:
    """The marble diagram of a recording, `marbles(recording)`, or of streams, `marbles(typed=typed, found=found)`.

    Streams are subscribed at once, in this order and in this thread, and followed until they end or until `close()`;
    their values are without secrets. What other `spy`s record meanwhile is not in it. `width` is in pixels; the theme
    `"auto"` is light or dark as the reader's system is. Raises TypeError for what can not be drawn, and ValueError for
    another theme or a picture that is too narrow.
    """
    _check_look(title, width, theme)
    if isinstance(source, Recording):
        if others or named:
            raise TypeError("marbles() draws one recording, or streams: give the streams a diagram of their own")
        return Marbles(source, title=title, width=width, theme=theme)
    given = (source, *others) if source is not None else others
    streams = {**_numbered(given), **named}
    if not streams:
        raise TypeError("marbles() needs a recording or streams: marbles(recording), or marbles(typed=typed)")
    for name, stream in streams.items():
        _check_stream(name, stream)
    recording, subscriptions = Recording(), CompositeDisposable()
    for name, stream in streams.items():
        subscriptions.add(stream.pipe(spy(name, into=recording)).subscribe(on_error=_recorded))
    return Marbles(recording, subscriptions, title=title, width=width, theme=theme)


def _recorded(error: Exception) -> None:
    """The error is in the picture."""


def _numbered(streams: tuple[Any, ...]) -> dict[str, Any]:
    if len(streams) == 1:
        return {"stream": streams[0]}
    return {f"stream {number}": stream for number, stream in enumerate(streams, 1)}


def _check_stream(name: str, stream: Any) -> None:
    if name in (SESSION, ERRORS):
        raise ValueError(f"a stream can not be named {name!r}: that is a lane of its own; give it another keyword")
    if isinstance(stream, Observable) and not isinstance(stream, Store):
        return
    if isinstance(stream, Store | Session):
        what = type(stream).__name__
        fix = "record it first: with record(...) as recording: ..., then marbles(recording)"
        if isinstance(stream, Store):
            fix += "; its states are a stream, too: marbles(states=store.select(lambda state: state))"
        raise TypeError(f"marbles() draws recordings and streams, got a {what}; {fix}")
    if isinstance(stream, Recording):
        raise TypeError("marbles() draws one recording, or streams: give each recording a diagram of its own")
    got = f"the class {stream.__name__}" if isinstance(stream, type) else type(stream).__name__
    raise TypeError(
        f"marbles() draws a Recording or Observables, got {got} for {name!r}; make it one, for example with "
        "reactivex.from_iterable(...) or reactivex.from_future(...)"
    )


def _check_look(title: Any, width: Any, theme: Any) -> None:
    if title is not None and not isinstance(title, str):
        raise TypeError(f"title must be a str, got {type(title).__name__}; a stream can not have this name")
    if isinstance(width, bool) or not isinstance(width, int):
        raise TypeError(f"width must be an int, in pixels, got {type(width).__name__}; a stream can not have this name")
    if not NARROWEST <= width <= 10_000:
        raise ValueError(f"width must be from {NARROWEST} to 10000 pixels, got {width}")
    if theme not in get_args(Theme):
        raise ValueError(f"theme must be one of {', '.join(map(repr, get_args(Theme)))}, got {theme!r}")
