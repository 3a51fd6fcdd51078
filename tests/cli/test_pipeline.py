"""Films are read ahead of the model: in order, a few at a time, and nothing is left running."""

from __future__ import annotations

import threading

import pytest

from cxr_viewer.cli.pipeline import MOST_WAITING, READERS, reading_ahead
from cxr_viewer.core.errors import CancelledError, ReadError
from cxr_viewer.core.jobs import CancelToken

PLENTY_S = 30


def test_the_order_is_that_of_the_items_whichever_is_read_first() -> None:
    second_is_read = threading.Event()

    def read(item: int, cancel: CancelToken) -> int:
        if item == 0:
            assert second_is_read.wait(PLENTY_S)
        if item == 1:
            second_is_read.set()
        return item * 10

    with reading_ahead(range(20), read) as films:
        assert [film.result(PLENTY_S) for film in films] == [item * 10 for item in range(20)]


def test_one_film_that_cannot_be_read_stops_no_other() -> None:
    def read(item: int, cancel: CancelToken) -> int:
        if item % 3 == 1:
            raise ReadError("This is no film.")
        return item

    with reading_ahead(range(9), read) as films:
        faults = [film.exception(PLENTY_S) for film in films]
    assert [isinstance(fault, ReadError) for fault in faults] == [item % 3 == 1 for item in range(9)]


def test_only_a_few_films_are_there_at_once() -> None:
    begun, going_on = [], threading.Semaphore(0)

    def read(item: int, cancel: CancelToken) -> int:
        begun.append(item)
        going_on.release()
        return item

    with reading_ahead(range(100), read) as films:
        for taken in range(1, 50):
            next(films).result(PLENTY_S)
            assert going_on.acquire(timeout=PLENTY_S)
            assert len(begun) <= taken + MOST_WAITING
    assert len(begun) < 100  # what nobody took was not read


def test_whoever_stops_cancels_what_is_being_read() -> None:
    begun, cancelled = threading.Barrier(READERS + 1), []

    def read(item: int, cancel: CancelToken) -> int:
        if item < 2:
            return item
        begun.wait(PLENTY_S)
        while not cancel.cancelled:
            threading.Event().wait(0.01)
        cancelled.append(item)
        raise CancelledError()

    def stop() -> None:
        with reading_ahead(range(100), read) as films:
            next(films).result(PLENTY_S)
            begun.wait(PLENTY_S)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert sorted(cancelled) == [2, 3]
