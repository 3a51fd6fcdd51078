"""What this computer can compute on, found without importing torch."""

from __future__ import annotations

import os
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_DRIVER_FILES = (
    "/dev/nvidia0",  # Linux; a machine with several has this one
    "/dev/dxg",  # Linux under Windows
    os.path.expandvars(r"$SYSTEMROOT\System32\nvcuda.dll"),
)


@cache
def devices() -> tuple[str, ...]:
    """Choices for ``AnalysisRequest.device``: ``"auto"``, ``"cpu"`` and, where it seems usable, ``"cuda"``.

    Takes about a millisecond: it looks whether the installed torch was built for CUDA, whether the driver's device is
    there, and whether ``CUDA_VISIBLE_DEVICES`` hides it. Whether it really works shows when a model is loaded on it.
    """
    return ("auto", "cpu", "cuda") if _torch_built_for_cuda() and _driver_present() else ("auto", "cpu")


def _torch_built_for_cuda() -> bool:
    """Reads ``torch/version.py``, one assignment a line."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return False
    try:
        text = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
    except OSError:
        return False
    return re.search(r"^cuda\b[^=]*=\s*['\"]\d", text, re.MULTILINE) is not None


def _driver_present() -> bool:
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return False
    return any(Path(node).exists() for node in _DRIVER_FILES)
