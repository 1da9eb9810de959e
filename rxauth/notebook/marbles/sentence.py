"""A story in one sentence, and in a headline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from rxauth.notebook.marbles.calls import Call, Way
from rxauth.notebook.marbles.labels import clean, count, length
from rxauth.notebook.marbles.story import Story
from rxauth.notebook.marbles.streams import StreamLane
from rxauth.notebook.marbles.tokens import Flight, TokenLane
from rxauth.notebook.words import shorten

#: How many streams, sessions or kinds of errors are told one by one, when there are more than one more.
FEW = 3
#: How long the name of a stream or a session may be.
NAME = 80
T = TypeVar("T")


def sentence(story: Story) -> str:
    """One sentence that says what the picture says."""
    parts = [*_sessions(story), *_results(story), *_streams(story), *_rest(story)]
    lead = _lead(story)
    if not story.events:
        return "An empty recording: nothing has happened yet."
    if not parts:
        return f"{lead}."
    return f"{lead}: {'; '.join(parts)}."


def headline(story: Story) -> str:
    """The title of a picture that was given none."""
    if story.calls:
        return f"{count(len(story.calls), 'call')}, {_gist(story)}"
    if story.flights or any(lane.turns for lane in story.tokens):
        gist = _gist(story)
        return gist[0].upper() + gist[1:]
    if story.streams:
        few, rest = _few(story.streams)
        names = ", ".join(shorten(lane.name, NAME) for lane in few)
        return f"{count(len(story.streams), 'stream')}: {names}" + (f" and {len(rest)} more" if rest else "")
    if story.errors:
        return count(len(story.errors), "error")
    if story.actions:
        return count(len(story.actions), "action")
    return "A recording" if story.events else "Nothing recorded"


def ways(calls: Iterable[Call]) -> Counter[Way]:
    """How many calls passed the gate in which way."""
    return Counter(call.way for call in calls)


def reasons(calls: Iterable[Call]) -> str:
    """Why they failed: `SessionExpired`, or `8 × SessionExpired, 2 × 503`."""
    kinds = Counter(call.why for call in calls).most_common()
    if len(kinds) == 1:
        return kinds[0][0]
    return ", ".join(_kinds(kinds, lambda why, number: f"{number} × {why}"))


def _kinds(kinds: list[tuple[str, int]], words: Callable[[str, int], str]) -> list[str]:
    """How many of which kind; of many kinds the most frequent, and how many others there were."""
    few, rest = _few(kinds)
    return [words(*kind) for kind in few] + [f"{sum(number for _, number in rest)} others"] * bool(rest)


def refreshes(flights: tuple[Flight, ...]) -> str:
    """How many refreshes of what kind: for the margin of their lane."""
    if not flights:
        return "none"
    failed = sum(flight.outcome in ("failed", "ended") for flight in flights)
    overtaken = sum(flight.outcome == "overtaken" for flight in flights)
    words = count(len(flights), "refresh", "refreshes")
    if len(flights) in (failed, overtaken):
        return f"{words} ✕" if failed else f"{words}, overtaken"
    if all(flight.outcome == "refreshed" for flight in flights):
        return f"{words} ✓"
    told = [f"{failed} ✕"] * bool(failed) + [f"{overtaken} overtaken"] * bool(overtaken)
    return ", ".join([words, *told] if told else [words, "running"])


def _gist(story: Story) -> str:
    flights = [flight for lane in story.tokens for flight in lane.flights]
    turns = [turn for lane in story.tokens for turn in lane.turns]
    failed = sum(flight.outcome == "failed" for flight in flights)
    if any(turn.what == "ended" for turn in turns):
        return "the sign-in ended"
    if any(turn.what == "signed_out" for turn in turns):
        return "signed out meanwhile" if story.calls else "signed out"
    if failed:
        if len(flights) == 1:
            return "the refresh failed"
        every = "both" if failed == 2 else f"all {failed}"
        return f"{every if failed == len(flights) else f'{failed} of {len(flights)}'} refreshes failed"
    if flights:
        return "one refresh" if len(flights) == 1 else f"{len(flights)} refreshes"
    if any(turn.what == "sign_in_failed" for turn in turns):
        return "the sign-in failed"
    return "signed in" if any(turn.what == "signed_in" for turn in turns) else "no refresh"


def _lead(story: Story) -> str:
    if story.calls:
        begin = story.calls[0].begin
        over = max(call.end for call in story.calls)
        return f"{count(len(story.calls), 'call')} in {length(over - begin)}"
    what = count(len(story.streams), "stream") if story.streams else count(story.events, "event")
    return f"{what} in {length(story.end)}"


def _sessions(story: Story) -> Iterator[str]:
    gate = ", ".join(_gate(story.calls))
    if gate:
        yield gate
    few, rest = _few(story.tokens)
    for lane in few:
        told = _session(lane, bool(story.calls))
        if told and len(story.tokens) > 1:
            yield f"{shorten(clean(lane.session), NAME)}: {', '.join(told)}"
        else:
            yield from told
    if rest:
        yield f"{len(rest)} more sessions"


def _gate(calls: tuple[Call, ...]) -> Iterator[str]:
    number = ways(calls)
    if number["waited"]:
        longest = length(max(call.waited for call in calls))
        yield f"{number['waited']} waited for the token, at most {longest}"
    if number["straight"]:
        yield f"{number['straight']} found it fresh" if number["waited"] else f"{number['straight']} found a token"
    if number["bare"]:
        yield f"{number['bare']} needed none"
    if number["turned_away"]:
        yield f"{number['turned_away']} turned away at the gate"
    if number["unsent"]:
        yield f"{number['unsent']} never sent"


def _session(lane: TokenLane, has_calls: bool) -> list[str]:
    """What happened to it, in the order in which it began."""
    told: list[tuple[float, str]] = []
    if lane.flights:
        told.append((lane.flights[0].begin or 0.0, _flights(lane.flights)))
    elif has_calls and not lane.turns:
        told.append((0.0, "no refresh"))
    for what, words in _TURNS.items():
        turns = [turn for turn in lane.turns if turn.what == what]
        if turns and not (what in _told_by(lane.flights) and len(turns) == 1):
            error = f" ({turns[-1].error})" if turns[-1].error else ""
            told.append((turns[0].at, f"{words} {_when([turn.at for turn in turns])}{error}"))
    failed = [(at, error) for at, error in lane.saves if error]
    if failed:
        worked = [at for at, error in lane.saves if not error and at > failed[-1][0]]
        again = f" and worked again at {length(worked[0])}" if worked else ""
        told.append((failed[0][0], f"saving failed {_when([at for at, _ in failed])} ({failed[-1][1]}){again}"))
    return [words for _, words in sorted(told, key=lambda part: part[0])]


def _told_by(flights: tuple[Flight, ...]) -> str:
    """What a single refresh already says of itself."""
    if len(flights) != 1:
        return ""
    return {"ended": "ended", "overtaken": "signed_out" if flights[0].error == "the logout" else ""}.get(
        flights[0].outcome, ""
    )


_TURNS = {
    "signed_out": "signed out",
    "signed_in": "signed in",
    "sign_in_failed": "the sign-in failed",
    "ended": "the server ended the sign-in",
}


def _flights(flights: tuple[Flight, ...]) -> str:
    if len(flights) == 1:
        return _flight(flights[0])
    parts = [f"{len(flights)} refreshes"]
    failed = [flight for flight in flights if flight.outcome in ("failed", "ended")]
    if failed:
        errors = Counter(flight.error for flight in failed).most_common(1)[0][0]
        parts.append(f"{_all(len(failed), len(flights))} failed ({errors})")
    for outcome, words in (("overtaken", "overtaken"), ("running", "still running")):
        number = sum(flight.outcome == outcome for flight in flights)
        if number:
            parts.append(f"{number} {words}")
    return ", ".join(parts)


def _all(some: int, every: int) -> str:
    return ("both" if every == 2 else "all of them") if some == every else f"{some} of them"


def _flight(flight: Flight) -> str:
    when = _from_to(flight.begin, flight.end)
    match flight.outcome:
        case "refreshed":
            return f"one refresh, {when}"
        case "failed":
            return f"one refresh, {when}, failed ({flight.error})"
        case "ended":
            return f"one refresh, {when}, was refused, which ended the sign-in ({flight.error})"
        case "overtaken":
            return (
                f"one refresh, {_from_to(flight.begin, None)}, overtaken by {flight.error} at {length(flight.end or 0)}"
            )
    return f"one refresh, {when}, is still running"


def _results(story: Story) -> Iterator[str]:
    calls = story.calls
    if not calls:
        return
    number = Counter(call.outcome for call in calls)
    failed = [call for call in calls if call.outcome == "failed"]
    got = sum(call.outcome == "answered" and call.why == "tokens" for call in calls)
    answered = number["answered"] - got
    told = [f"{answered} answered"] * bool(answered or not got)
    told += [f"{got} got tokens"] * bool(got)
    told.append(f"{number['failed']} failed" + (f" ({reasons(failed)})" if failed else ""))
    told += [f"{number['cancelled']} cancelled"] * bool(number["cancelled"])
    told += [f"{number['left']} without an answer"] * bool(number["left"])
    told += [f"{number['running']} still running"] * bool(number["running"])
    again = sum(bool(call.refusals) for call in calls)
    told += [f"{again} sent again after a 401"] * bool(again)
    told += [f"{story.skipped} skipped"] * bool(story.skipped)
    yield ", ".join(told)


def _streams(story: Story) -> Iterator[str]:
    few, rest = _few(story.streams)
    for lane in few:
        yield _stream(lane)
    if rest:
        yield f"{len(rest)} more streams brought {count(sum(lane.values for lane in rest), 'value')}"


def _stream(lane: StreamLane) -> str:
    subscribers = sum(line.subscribers for line in lane.lines)
    to = f" to {subscribers} subscribers" if subscribers > 1 else ""
    ends = Counter(line.ending for line in lane.lines)
    why = next((line.why for line in lane.lines if line.ending == "failed"), "")
    how = [f"failed ({why})"] * bool(ends["failed"])
    how += ["completed"] * bool(ends["completed"]) + ["was disposed"] * bool(ends["disposed"])
    how += ["goes on"] * bool(ends["open"])
    what = count(lane.values, "value") if lane.values else "nothing"
    return f"{shorten(lane.name, NAME)} brought {what}{to} and {', '.join(how)}"


def _rest(story: Story) -> Iterator[str]:
    if story.actions:
        kinds = Counter(mark.label for mark in story.actions).most_common()
        told = ", ".join(_kinds(kinds, lambda name, number: f"{name} × {number}" if number > 1 else name))
        other = "other action" if story.calls or any(lane.turns or lane.flights for lane in story.tokens) else "action"
        yield f"{count(len(story.actions), other)} ({told})"
    if not story.calls and story.skipped:
        yield f"{count(story.skipped, 'call')} skipped"
    if story.errors:
        kinds = Counter(mark.label for mark in story.errors).most_common()
        told = ", ".join(_kinds(kinds, lambda name, number: f"{name} × {number}" if number > 1 else name))
        yield f"{count(len(story.errors), 'error')} reported ({told})"
    if story.dropped:
        yield f"the first {count(story.dropped, 'event')} were dropped".replace("1 event were", "event was")


def _few(things: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    """Those that are told one by one, and the rest, which is never a single one."""
    return (things, ()) if len(things) <= FEW + 1 else (things[:FEW], things[FEW:])


def _start(begin: float) -> str:
    """A beginning within the first millisecond is the beginning."""
    return length(begin) if begin >= 0.001 else length(0)


def _when(times: list[float]) -> str:
    return f"at {length(times[0])}" if len(times) == 1 else f"{len(times)} times"


def _from_to(begin: float | None, end: float | None) -> str:
    if begin is None:
        return "begun before" + (f", until {length(end)}" if end is not None else "")
    if end is None:
        return f"begun at {_start(begin)}"
    first, last = _start(begin), length(end)
    number, _, unit = first.partition(" ")
    same = last.endswith(f" {unit}") and last.count(" ") == 1 and first.count(" ") == 1
    return f"from {number if same else first} to {last}"
