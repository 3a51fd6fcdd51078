"""The curves of a run for TensorBoard, which is asked for only with ``--tensorboard``."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cxr_viewer.core.errors import CxrError


class Curves(contextlib.AbstractContextManager["Curves"]):
    """Writes figures into ``folder``; nothing where it is None. Epochs after ``done`` that an earlier run left there
    are not shown any more.

    Raises:
        CxrError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path | None, done: int = 0) -> None:
        self._writer: Any = None
        if folder is None:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise CxrError(
                "TensorBoard is not installed.",
                hint="Install it with: pip install 'cxr-viewer[train]'; history.json holds the same figures.",
                detail=str(error),
                code="no-tensorboard",
            ) from error
        self._writer = SummaryWriter(str(folder), purge_step=done + 1)  # of an earlier run in the same folder

    def add(self, row: Mapping[str, float]) -> None:
        """One epoch's figures, ``row["epoch"]`` among them."""
        if self._writer is None:
            return
        for name, value in row.items():
            if name != "epoch":
                self._writer.add_scalar(name, value, int(row["epoch"]))
        self._writer.flush()

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()
