"""A storage that keeps every promise, and many that break one each: the conformance suite must tell them apart."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from rxauth.errors import InvalidRecord
from rxauth.storage import Key, Record, codec


class Place:
    """Where the storages of one test, which keep every promise but one, put their text."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.watchers: list[Callable[[], None]] = []
        self.change, self.section = threading.Lock(), threading.Lock()


class Shelf:
    """Keeps every promise. The kinds below break one each."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def load(self) -> Record | None:
        return None if self.place.text is None else codec.loads(self.place.text, "the shelf")

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        with self.place.change:
            stored = self.load()
            if replaces is not None and not self.may(stored, replaces):
                return False
            self.put(record)
            return True

    def may(self, stored: Record | None, replaces: Key) -> bool:
        return stored is not None and stored.tokens is not None and stored.key == replaces

    def put(self, record: Record) -> None:
        self.place.text = codec.dumps(record)

    def clear(self, sign_in: str) -> None:
        with self.place.change:
            stored = self.load()
            if stored is not None and stored.sign_in == sign_in:
                self.put(replace(stored, tokens=None))

    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        if not self.place.section.acquire(timeout=wait):
            raise TimeoutError("the shelf's section is not free")
        try:
            yield
        finally:
            self.place.section.release()


class Forgetful(Shelf):
    def put(self, record: Record) -> None:
        super().put(replace(record, spending=None))


class Rounding(Shelf):
    def put(self, record: Record) -> None:
        tokens = record.tokens
        if tokens is not None and tokens.expires_at is not None:
            tokens = replace(tokens, expires_at=float(int(tokens.expires_at)))
        super().put(replace(record, tokens=tokens))


class Latin(Shelf):
    def put(self, record: Record) -> None:
        super().put(replace(record, account=record.account.encode("latin-1", "replace").decode("latin-1")))


class Short(Shelf):
    def put(self, record: Record) -> None:
        tokens = record.tokens and replace(record.tokens, access=record.tokens.access[:4096])
        super().put(replace(record, tokens=tokens))


class Overwriting(Shelf):
    def may(self, stored: Record | None, replaces: Key) -> bool:
        return True


class OfTheSameSignIn(Shelf):
    def may(self, stored: Record | None, replaces: Key) -> bool:
        return stored is not None and stored.tokens is not None and stored.sign_in == replaces[0]


class OfTheSameGeneration(Shelf):
    def may(self, stored: Record | None, replaces: Key) -> bool:
        return stored is not None and stored.tokens is not None and stored.generation == replaces[1]


class OverATombstone(Shelf):
    def may(self, stored: Record | None, replaces: Key) -> bool:
        return stored is not None and stored.key == replaces


class OverNothing(Shelf):
    def may(self, stored: Record | None, replaces: Key) -> bool:
        return stored is None or super().may(stored, replaces)


class Shy(Shelf):
    def save(self, record: Record, replaces: Key | None = None) -> bool:
        stored = self.load()
        if stored is not None and stored.tokens is None and replaces is None:
            return False
        return super().save(record, replaces)


class InTwoSteps(Shelf):
    """Compares, and sets a moment later."""

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        stored = self.load()
        if replaces is not None and not self.may(stored, replaces):
            return False
        threading.Event().wait(0.02)
        self.put(record)
        return True


class ClearsAnybody(Shelf):
    def clear(self, sign_in: str) -> None:
        stored = self.load()
        super().clear(sign_in if stored is None else stored.sign_in)


class ClearsNobody(Shelf):
    def clear(self, sign_in: str) -> None:
        pass


class WithoutATombstone(Shelf):
    def clear(self, sign_in: str) -> None:
        stored = self.load()
        if stored is not None and stored.sign_in == sign_in:
            self.place.text = None


class Caching(Shelf):
    seen: Record | None = None

    def load(self) -> Record | None:
        self.seen = self.seen or super().load()
        return self.seen


class OpenToAll(Shelf):
    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        yield


class Impatient(Shelf):
    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        with super().exclusive(0.0):
            yield


class RaisesAnother(Shelf):
    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        if not self.place.section.acquire(timeout=wait):
            raise RuntimeError("locked")
        try:
            yield
        finally:
            self.place.section.release()


class OfOneThread(Shelf):
    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        with super().exclusive(wait):
            thread = threading.get_ident()
            yield
            if threading.get_ident() != thread:
                raise RuntimeError("left by another thread")


class StaysAfterAnError(Shelf):
    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        if not self.place.section.acquire(timeout=wait):
            raise TimeoutError
        yield
        self.place.section.release()


class SwallowsErrors(Shelf):
    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        with super().exclusive(wait), suppress(LookupError):
            yield


class BlocksWriters(Shelf):
    """Nobody saves while somebody else is in the section."""

    inside = False

    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        with super().exclusive(wait):
            self.inside = True
            try:
                yield
            finally:
                self.inside = False

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        return super().save(record, replaces) if self.inside or not self.place.section.locked() else False


class Talkative(Shelf):
    def __repr__(self) -> str:
        return f"Talkative({self.place.text})"


class ShowsInErrors(Shelf):
    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        if not self.place.section.acquire(timeout=wait):
            raise TimeoutError(f"held for {self.place.text}")
        try:
            yield
        finally:
            self.place.section.release()


class Confident(Shelf):
    """Puts a new record in the place of what it can not read."""

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        try:
            return super().save(record, replaces)
        except InvalidRecord:
            self.put(record)
            return True


class Lenient(Shelf):
    def load(self) -> Record | None:
        try:
            return super().load()
        except InvalidRecord:
            return None


class Quiet(Shelf):
    """Says that it watches, and does not."""

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        return lambda: None


class Lingering(Shelf):
    """Goes on telling when it should have stopped."""

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        self.place.watchers.append(changed)
        return lambda: None

    def put(self, record: Record) -> None:
        super().put(record)
        for changed in self.place.watchers:
            changed()
