"""Checkpoints: never half a file, and never one of other settings."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from cxr_viewer.core.errors import CxrError

CHECKPOINT_NAME = "checkpoint.pt"
BEST_NAME = "best.safetensors"
HISTORY_NAME = "history.json"


def written(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside ``path`` and put it in its place once it is whole and on the disk."""
    partial = path.with_name(path.name + ".partial")
    write(partial)
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def read_checkpoint(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The checkpoint at ``path``, all tensors on the CPU.

    Raises:
        CxrError: it cannot be read (``checkpoint-damaged``), or was made with other settings, which are named
            (``checkpoint-other``).
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        made = json.loads(content["settings"])
        if not isinstance(made, dict) or len(content["numbers"]) != 5:
            raise ValueError("it does not hold what a checkpoint holds")
    except Exception as error:  # torch raises many kinds here
        raise CxrError(
            f"The checkpoint “{path.name}” cannot be read.",
            hint="Remove it, or train with --fresh.",
            detail=str(error),
            code="checkpoint-damaged",
        ) from error
    now = json.loads(json.dumps(dict(settings)))
    other = sorted(name for name in made.keys() | now.keys() if made.get(name) != now.get(name))
    if other:
        told = "; ".join(f"{name} was {_word(made.get(name))}, now {_word(now.get(name))}" for name in other[:5])
        more = f"; and {len(other) - 5} more" if len(other) > 5 else ""
        raise CxrError(
            f"The checkpoint in the output folder was made with other settings: {told}{more}.",
            hint="Give another --out, or --fresh to start again.",
            code="checkpoint-other",
        )
    return content


def _word(value: object) -> str:
    if value is None:
        return "not set"
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
