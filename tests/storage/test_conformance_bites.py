"""The conformance suite itself: what keeps its promises passes, and what breaks one does not."""

from __future__ import annotations

import subprocess
import sys
import unittest
from dataclasses import replace

import pytest

from rxauth import Tokens
from rxauth.storage import Record, SharedStorage
from rxauth.testing.storage import StorageConformance, TokenStorageConformance
from tests.storage.broken_kinds import (
    Confident,
    Forgetful,
    InTwoSteps,
    Lingering,
    OfOneThread,
    OpenToAll,
    Place,
    Quiet,
    Shelf,
    WithoutATombstone,
)


def suite_for(kind: type[Shelf], within: float = 0.5) -> type[unittest.TestCase]:
    """The suite as a user of unittest would have it."""

    class Suite(StorageConformance, unittest.TestCase):
        patience, moment = within, 0.02

        def setUp(self) -> None:
            self.place = Place()

        def make(self) -> SharedStorage:
            return kind(self.place)

        def plant(self, text: str) -> None:
            self.place.text = text

    return Suite


def broken_promises(tests: unittest.TestSuite) -> list[str]:
    """The test that fails, the first one only."""
    result = unittest.TestResult()
    result.failfast = True
    tests.run(result)
    failed = result.failures + result.errors
    assert not [text for _, text in failed if "s3cret" in text], "no token in what a test says"
    return [test.id().rpartition(".test_")[2] for test, _ in failed]


def all_tests(kind: type[Shelf], **how: float) -> unittest.TestSuite:
    return unittest.defaultTestLoader.loadTestsFromTestCase(suite_for(kind, **how))


def test_a_kind_that_keeps_every_promise_passes() -> None:
    tests = all_tests(Shelf, within=60.0)  # nothing waits for so long, but on a busy machine much for a while
    assert tests.countTestCases() > 15
    assert broken_promises(tests) == []


@pytest.mark.parametrize("kind", sorted(Shelf.__subclasses__(), key=lambda kind: kind.__name__))
def test_a_kind_that_breaks_a_promise_does_not(kind: type[Shelf]) -> None:
    assert broken_promises(all_tests(kind))


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (Forgetful, "the_journal_is_kept_and_cleared"),
        (InTwoSteps, "of_many_that_replace_one_pair_one_does"),
        (OpenToAll, "one_at_a_time_is_in_the_section"),
        (WithoutATombstone, "the_others_see_a_tombstone"),
        (OfOneThread, "a_section_may_be_left_by_another_thread"),
        (Confident, "what_can_not_be_read_is_refused_and_kept"),
        (Quiet, "a_change_by_others_is_told"),
        (Lingering, "a_change_by_others_is_told"),
    ],
)
def test_the_test_that_fails_says_which(kind: type[Shelf], promise: str) -> None:
    assert broken_promises(unittest.TestSuite([suite_for(kind)(f"test_{promise}")])) == [promise]


def test_it_needs_no_test_framework() -> None:
    program = "import sys; import rxauth.testing.storage; print('pytest' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )


def test_without_make_it_says_what_to_define() -> None:
    for suite in (TokenStorageConformance, StorageConformance):
        with pytest.raises(NotImplementedError, match=r"define make\(\)"):
            suite().test_an_empty_storage_has_no_record()


def test_tokens_of_other_memory_are_not_stored() -> None:
    """What a session notes in its own tokens is not part of the promise."""
    own = replace(Tokens("access"), sign_in="here", generation=12)
    place = Place()
    Shelf(place).put(Record("here", 1, own))
    found = Shelf(place).load()
    assert found is not None
    assert found.tokens == Tokens("access")
