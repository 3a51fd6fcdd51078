"""The import contracts of pyproject.toml are kept by a tool; here it is shown a house that breaks each of them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

BREACHES = {
    "core/errors.py": "import cxr_viewer.imaging",  # layers
    "ui/theme.py": "import cxr_viewer.sources, torch, pydicom",  # adapters, torch, dicom
    "outputs/png.py": "import PySide6",  # qt
    "imaging/luts.py": "import cxr_viewer.imaging.levels",  # acyclic, together with the next
    "imaging/levels.py": "import cxr_viewer.imaging.luts",
    "app.py": "import SimpleITK",  # roots
}


def test_every_contract_sees_its_breach(repository: Path, tmp_path: Path) -> None:
    shutil.copytree(repository / "cxr_viewer", tmp_path / "cxr_viewer", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(repository / "pyproject.toml", tmp_path)
    for name, breach in BREACHES.items():
        file = tmp_path / "cxr_viewer" / name
        file.write_text(file.read_text(encoding="utf-8") + f"\n{breach}\n", encoding="utf-8")
    code = "import importlinter.cli as c; c.lint_imports_command()"
    command = [sys.executable, "-c", code, "--no-logo", "--no-cache"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
    contracts = (repository / "pyproject.toml").read_text(encoding="utf-8").count("[[tool.importlinter.contracts]]")
    assert len(re.findall(r" BROKEN$", said, re.MULTILINE)) == contracts, said
    assert not re.findall(r" KEPT$", said, re.MULTILINE), said
