"""Tracebacks without the frames in which a secret is a local variable, which a notebook may print."""

from __future__ import annotations

import functools
import sys
import sysconfig
from collections.abc import Callable
from types import TracebackType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
E = TypeVar("E", bound=BaseException)

_OURS = ("rxauth", "httpx", "httpx2", "httpcore", "httpcore2")
_INSTALLED = tuple(
    {path for name in ("stdlib", "platstdlib", "purelib", "platlib") if (path := sysconfig.get_path(name))}
)


def concealed(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, whose arguments hold secrets: its errors come without its frames, and without theirs."""

    @functools.wraps(function)
    def conceal(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            raised = own_frames(error)
        del args, kwargs
        try:
            raise raised
        finally:
            del raised  # else this frame and the error hold each other, and the callers' frames what these hold

    return conceal


def without_frames(error: E) -> E:
    """The exception and all that it goes back to, without tracebacks."""
    for link in chain(error):
        link.__traceback__ = None
    return error


def own_frames(error: E) -> E:
    """The exception and all that it goes back to, with the frames of the user's own code and no others.

    His code is the package of the first frame that is not ours, and whatever is not installed: what lies between,
    in json, urllib or another HTTP library, has the body of a request in its hands.
    """
    own = _first_package(error.__traceback__)
    for link in chain(error):
        link.__traceback__ = _kept(link.__traceback__, own)
    return error


def chain(error: BaseException) -> list[BaseException]:
    """The exception and all that it goes back to, by cause or by context."""
    found: dict[int, BaseException] = {}
    queue: list[BaseException | None] = [error]
    while queue:
        link = queue.pop()
        if link is not None and id(link) not in found:
            found[id(link)] = link
            queue += [link.__cause__, link.__context__]
    return list(found.values())


def _package(trace: TracebackType) -> str:
    return str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]


def _first_package(trace: TracebackType | None) -> str:
    """The package of what we called; "" when that was a client, or Python's own."""
    while trace is not None and _package(trace) in ("rxauth", "asyncio"):  # an async callable has a loop around it
        trace = trace.tb_next
    if trace is None or _package(trace) in (*_OURS, *sys.stdlib_module_names):
        return ""
    return _package(trace)


def _kept(trace: TracebackType | None, own: str) -> TracebackType | None:
    if trace is None:
        return None
    rest = _kept(trace.tb_next, own)
    package = _package(trace)
    installed = trace.tb_frame.f_code.co_filename.startswith((*_INSTALLED, "<frozen"))
    if package in _OURS or (installed and package != own):
        return rest
    return TracebackType(rest, trace.tb_frame, trace.tb_lasti, trace.tb_lineno)
