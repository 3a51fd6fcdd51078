"""The window comes up in a second because nothing heavy is imported before it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HEAVY = (
    "torch",
    "torchvision",
    "pytorch_grad_cam",
    "openvino",
    "onnxruntime",
    "sklearn",
    "scipy",
    "matplotlib",
    "SimpleITK",
    "pydicom",
    "gdcm",
)


def _imported_with(module: str, repository: Path) -> set[str]:
    code = f"import sys, json, {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_the_window_is_imported_without_anything_heavy(repository: Path) -> None:
    modules = _imported_with("cxr_viewer.app", repository)
    assert "PySide6.QtWidgets" in modules
    assert not modules.intersection(HEAVY)


def test_the_core_is_imported_without_qt(repository: Path) -> None:
    modules = _imported_with("cxr_viewer.services", repository)
    assert not {name for name in modules if name.startswith(("PySide6", "pyqtgraph"))}
