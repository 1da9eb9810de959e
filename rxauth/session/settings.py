"""The numbers of a session."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self, TypedDict, Unpack

from rxauth.session.state import Windows

#: Between two tries to save, or to remove, what must not be given up, in seconds.
LONGEST_PAUSE = 5.0


class SettingsOptions(TypedDict, total=False):
    """The fields of `Settings` as keywords, so that editors complete them and type checkers know them."""

    leeway: float | None
    refresh_ahead: float | None
    deadline: float
    listen: float
    tries: int
    backoff: float
    cool_down: float
    max_cool_down: float
    max_retry_after: float
    pause: float
    excess: int
    excess_window: float
    save_timeout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All times in seconds.

    `leeway` and `refresh_ahead`: see `rxauth.session.Windows`. `deadline`: for a whole refresh, posts and pauses;
    afterwards the waiting calls get `RefreshTimeout`. `listen`: for how long after that nobody posts, because the
    answer may still come. `tries` per refresh, with `backoff` doubling between them. `cool_down` after a failed
    refresh, doubling up to `max_cool_down`, a quarter more or less by chance; a server's `Retry-After`, and a little
    more by chance, counts up to `max_retry_after`. `pause`: between two posts of a client that the server calls
    misconfigured. `excess` refreshes that an API refuses at once are let through in `excess_window`. `save_timeout`:
    for one call of the storage. docs/scale.md says which of them matter to a fleet.
    """

    leeway: float | None = None
    refresh_ahead: float | None = None
    deadline: float = 30.0
    listen: float = 60.0
    tries: int = 3
    backoff: float = 0.5
    cool_down: float = 5.0
    max_cool_down: float = 60.0
    max_retry_after: float = 3600.0
    pause: float = 60.0
    excess: int = 5
    excess_window: float = 30.0
    save_timeout: float = 2.0

    @classmethod
    def of(cls, **given: Unpack[SettingsOptions]) -> Self:
        """Check what a user gave. Raises TypeError for an unknown name, ValueError for a number out of range."""
        names = [field.name for field in fields(cls)]
        values: dict[str, Any] = {**given}
        for name, value in values.items():
            if name not in names:
                raise TypeError(f"Session() has no keyword {name!r}; its numbers are {', '.join(names)}")
            if value is not None and not (is_number(value) and (value >= 0 or name == "leeway")):
                least = "at most a century, or less than 0" if name == "leeway" else "from 0 to a century"
                raise ValueError(f"{name} must be a number of seconds or a count, {least}; got {value!r}")
            if value is None and name not in ("leeway", "refresh_ahead"):
                raise ValueError(f"{name} must be a number; leave it out for the default")
            if name in _LEAST and not isinstance(value, int):
                raise ValueError(f"{name} must be a whole number; got {value!r}")
            if name in _LEAST and value == 0:
                raise ValueError(f"{name} must be 1 or more: {_LEAST[name]}")
        return cls(**values)

    @property
    def windows(self) -> Windows:
        return Windows(self.leeway, self.refresh_ahead)

    def pause_before(self, next_try: int, retry_after: float | None, chance: float) -> float:
        """Seconds before try `next_try` (2, 3, ...): exponential back-off, half of it chance, or `Retry-After`."""
        backoff: float = self.backoff * 2 ** min(next_try - 2, 64)
        return max(backoff * (0.5 + chance / 2), self._asked(retry_after, chance))

    def cool_down_after(self, failures: int, retry_after: float | None, chance: float) -> float:
        """Seconds without a post after so many failed refreshes in a row: a quarter more or less by chance, so that
        sessions that failed together do not come back together."""
        doubled: float = min(self.cool_down * 2 ** min(failures, 16), self.max_cool_down)
        return max(doubled * (0.75 + chance / 2), self._asked(retry_after, chance))

    def _asked(self, retry_after: float | None, chance: float) -> float:
        """`Retry-After`, and by chance up to half as long again, within the bounds: never sooner than the server asked,
        but not all at once whom it told the same moment. A chance of 0.5 adds nothing."""
        asked = retry_after or 0.0
        return min(asked + abs(2 * chance - 1) * min(asked, self.max_cool_down) / 2, self.max_retry_after)


#: What is counted, and why it can not be 0.
_LEAST = {
    "tries": "without a try there is no refresh",
    "excess": "without one no refused token is ever replaced; to let all of them through, say excess_window=0",
}
#: A hundred years in seconds: no thread can wait for longer than three hundred.
_LONGEST = 100 * 365.25 * 86_400


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LONGEST


def check_lease(storage: object, settings: Settings) -> None:
    """Raise ValueError if the storage's section may end while a refresh is under way in it."""
    lease = getattr(storage, "lease", None)
    needed = settings.deadline + 4 * settings.save_timeout  # to look, to write the journal, to post, to save, to leave
    if isinstance(lease, int | float) and lease < needed:
        raise ValueError(
            f"the storage's lease of {lease:g} s is shorter than a refresh may take: make it {needed:g} s or more, or "
            "the session's deadline= shorter"
        )
