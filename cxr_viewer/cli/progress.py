"""Progress on a terminal, and nothing anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from cxr_viewer.core.study import ScanBatch

T = TypeVar("T")


def progress(items: Sequence[T], *, quiet: bool) -> Iterable[T]:
    """The items, with a bar that counts them.

    Args:
        quiet: no bar; where the answers themselves appear on the same terminal they are the progress.
    """
    if quiet or len(items) < 2 or not sys.stderr.isatty():
        return items
    from tqdm import tqdm

    bar: Iterable[T] = tqdm(items, unit="film", file=sys.stderr, dynamic_ncols=True)
    return bar


def counted(batches: Iterator[ScanBatch]) -> Iterator[ScanBatch]:
    """The batches of a scan, with a bar of the files looked at, which goes when the scan is over."""
    if not sys.stderr.isatty():
        yield from batches
        return
    from tqdm import tqdm

    with tqdm(desc="Looking for films", unit="file", file=sys.stderr, leave=False, dynamic_ncols=True) as bar:
        for batch in batches:
            bar.total = batch.total or None
            bar.update(batch.looked_at - bar.n)
            yield batch
