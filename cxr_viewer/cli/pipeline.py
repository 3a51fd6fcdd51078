"""Reading the next films while the model looks at this one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from cxr_viewer.core.jobs import CancelToken

READERS = 2
MOST_WAITING = 3
"""Films read or being read ahead of the one the model looks at: memory stays the same however many films there are."""

Item = TypeVar("Item")
Read = TypeVar("Read")


@contextmanager
def reading_ahead(items: Iterable[Item], read: Callable[[Item, CancelToken], Read]) -> Iterator[Iterator[Future[Read]]]:
    """``read`` for each of ``items`` on threads of their own; what it gave or raised, in the order of the items.

    Leaving the block, for whatever reason, cancels what is under way and waits for it.
    """
    token = CancelToken()
    with ThreadPoolExecutor(READERS, "read-ahead") as pool:
        try:
            yield _in_order(items, lambda item: pool.submit(read, item, token))
        finally:
            token.cancel()
            pool.shutdown(wait=True, cancel_futures=True)


def _in_order(items: Iterable[Item], submit: Callable[[Item], Future[Read]]) -> Iterator[Future[Read]]:
    waiting: deque[Future[Read]] = deque()
    for item in items:
        waiting.append(submit(item))
        if len(waiting) > MOST_WAITING:
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()
