"""The waiting place for the newest request, cancelling, and faults as text."""

from __future__ import annotations

import logging
import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cxr_viewer.core.errors import CancelledError, ReadError
from cxr_viewer.core.jobs import CancelToken, LatestSlot, failure_from


def test_a_newer_request_replaces_the_waiting_one() -> None:
    slot: LatestSlot[str] = LatestSlot()
    first, second = slot.put("pane 0", "old"), slot.put("pane 0", "new")
    assert first.cancelled
    assert slot.take(0) == ("pane 0", "new", second)
    assert not second.cancelled
    assert slot.take(0) is None


def test_a_newer_request_cancels_the_running_one() -> None:
    slot: LatestSlot[str] = LatestSlot()
    running = slot.put("pane 0", "old")
    slot.take(0)
    other = slot.put("pane 1", "neighbour")
    assert not running.cancelled
    slot.put("pane 0", "new")
    assert running.cancelled
    assert not other.cancelled


def test_names_are_served_in_turn() -> None:
    slot: LatestSlot[int] = LatestSlot()
    for number in range(3):
        slot.put(number, number)
    assert [taken[0] for taken in (slot.take(0), slot.take(0), slot.take(0)) if taken] == [0, 1, 2]


def test_done_forgets_only_its_own_run() -> None:
    slot: LatestSlot[str] = LatestSlot()
    first = slot.put("pane", "first")
    slot.take(0)
    second = slot.put("pane", "second")
    slot.take(0)
    slot.done("pane", first)  # late: the second runs already
    slot.discard("pane")
    assert second.cancelled
    third = slot.put("pane", "third")
    slot.take(0)
    slot.done("pane", third)
    slot.discard("pane")
    assert not third.cancelled


def test_closing_wakes_who_waits_and_cancels_everything() -> None:
    slot: LatestSlot[str] = LatestSlot()
    running = slot.put("a", "x")
    slot.take(0)
    waiting = slot.put("b", "y")
    slot.close()
    assert (running.cancelled, waiting.cancelled, slot.closed) == (True, True, True)
    assert slot.take(0) is None
    assert slot.put("a", "too late").cancelled


@pytest.mark.parametrize("close", [False, True])
def test_a_waiting_thread_gets_what_is_put_or_none(close: bool) -> None:
    slot: LatestSlot[str] = LatestSlot()
    got: list[object] = []
    consumer = threading.Thread(target=lambda: got.append(slot.take(10)))
    consumer.start()
    if close:
        slot.close()
    else:
        slot.put("pane", "film")
    consumer.join(10)
    assert not consumer.is_alive()
    taken = got[0]
    assert taken is None if close else isinstance(taken, tuple) and taken[:2] == ("pane", "film")


class SlotMachine(RuleBasedStateMachine):
    """Any order of asking, taking and finishing: at most one request a name is alive, and it is the newest."""

    def __init__(self) -> None:
        super().__init__()
        self.slot: LatestSlot[int] = LatestSlot()
        self.number = 0
        self.newest: dict[int, tuple[int, CancelToken]] = {}
        self.tokens: list[tuple[int, CancelToken]] = []
        self.running: list[tuple[int, int, CancelToken]] = []
        self.waiting: list[int] = []

    @rule(name=st.integers(0, 2))
    def put(self, name: int) -> None:
        self.number += 1
        token = self.slot.put(name, self.number)
        self.newest[name] = (self.number, token)
        self.tokens.append((name, token))
        if name in self.waiting:
            self.waiting.remove(name)
        self.waiting.append(name)

    @rule(name=st.integers(0, 2))
    def discard(self, name: int) -> None:
        self.slot.discard(name)
        self.newest.pop(name, None)
        if name in self.waiting:
            self.waiting.remove(name)

    @precondition(lambda self: not self.running)
    @rule()
    def take(self) -> None:
        taken = self.slot.take(0)
        if taken is None:
            assert not self.waiting
            return
        name, number, token = taken
        assert name == self.waiting.pop(0)
        assert (number, token) == self.newest[name]
        self.running.append((name, number, token))

    @precondition(lambda self: bool(self.running))
    @rule()
    def finish(self) -> None:
        name, number, token = self.running.pop()
        self.slot.done(name, token)
        if self.newest.get(name) == (number, token):
            del self.newest[name]
            self.tokens.remove((name, token))

    @invariant()
    def only_the_newest_is_alive(self) -> None:
        for name, token in self.tokens:
            newest = self.newest.get(name)
            assert token.cancelled != (newest is not None and newest[1] is token)


TestAnyOrder = SlotMachine.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


# ---------------------------------------------------------------- cancelling, failures


def test_a_token_stops_work_at_its_next_stage() -> None:
    token = CancelToken()
    token.raise_if_cancelled()
    token.cancel()
    with pytest.raises(CancelledError):
        token.raise_if_cancelled()


def test_an_expected_fault_keeps_its_words() -> None:
    fault = ReadError("No pixels.", hint="Choose another.", detail="tag", code="no-pixel-data")
    failure = failure_from(fault, job="load", pane=2, generation=7)
    assert (failure.pane, failure.generation, failure.job) == (2, 7, "load")
    assert (failure.summary, failure.hint, failure.detail, failure.code) == (
        "No pixels.",
        "Choose another.",
        "tag",
        "no-pixel-data",
    )


def test_a_defect_is_logged_and_told_without_its_innards(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        try:
            raise KeyError("DOE^JANE")
        except KeyError as error:
            failure = failure_from(error, job="load")
    assert failure.code == "internal"
    assert "DOE" not in failure.summary + failure.hint + repr(failure)
    assert "KeyError" in failure.detail
    assert "unexpected fault in job load" in caplog.text
