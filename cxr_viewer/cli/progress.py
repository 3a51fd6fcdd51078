"""Progress on a terminal, and nothing anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from cxr_viewer.core.offers import InstallProgress
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


@contextmanager
def installing() -> Iterator[Callable[[InstallProgress], None]]:
    """Takes how far an installation has come: a bar of bytes while a file is fetched, a line for each other stage."""
    if not sys.stderr.isatty():
        yield lambda progress: None
        return
    from tqdm import tqdm

    bars: list[tqdm[None]] = []
    stages: list[str] = []

    def show(progress: InstallProgress) -> None:
        if bars and stages != [progress.stage]:
            bars.pop().close()
        stages[:] = [progress.stage]
        if not progress.total and not progress.done:
            print(f"{progress.stage} ...", file=sys.stderr)
            return
        if not bars:
            look = {"unit": "B", "unit_scale": True, "leave": False, "dynamic_ncols": True}
            bars.append(tqdm(desc=progress.stage, total=progress.total or None, file=sys.stderr, **look))
        bars[0].total = progress.total or None
        bars[0].update(progress.done - bars[0].n)
        if progress.done == progress.total:
            bars[0].refresh()  # the last step, too, which may come too soon after the one before

    try:
        yield show
    finally:
        for bar in bars:
            bar.close()
