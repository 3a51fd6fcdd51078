"""Writes our weights from the published tensors. Imports torch; run in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from cxr_viewer.inference.networks import from_published


def run(arguments: dict[str, Any]) -> dict[str, Any]:
    """Convert ``state`` (safetensors under published names) into ``weights`` for ``network``, outputs ``rows``.

    Raises:
        ModelError: the tensors are not those of the network.
        OSError: the weights cannot be written.
    """
    state = load_file(Path(arguments["state"]))
    weights = from_published(arguments["network"], state, arguments["rows"])
    save_file(weights, Path(arguments["weights"]))
    return {}
