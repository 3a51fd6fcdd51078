"""A file fits an afternoon, a function fits a screen; what is longer stands here with its reason."""

from __future__ import annotations

import ast
from pathlib import Path

FILE_LINES = 400
FUNCTION_LINES = 50

LONG_FILES: dict[str, str] = {}
"""Path of each longer file, and why it is better whole."""

LONG_FUNCTIONS: dict[str, str] = {}
"""``path:name`` of each longer function, and why it is better whole."""


def _sources(repository: Path) -> list[Path]:
    return sorted(path for folder in ("cxr_viewer", "packaging") for path in (repository / folder).rglob("*.py"))


def test_no_file_has_outgrown_an_afternoon(repository: Path) -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in _sources(repository)}
    assert len(lengths) > 20
    long = {path.relative_to(repository).as_posix(): n for path, n in lengths.items() if n > FILE_LINES}
    assert long.keys() == LONG_FILES.keys(), f"more than {FILE_LINES} lines: {long}; allowed: {LONG_FILES}"


def test_no_function_has_outgrown_a_screen(repository: Path) -> None:
    long = {}
    for path in _sources(repository):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    long[f"{path.relative_to(repository).as_posix()}:{node.name}"] = lines
    assert long.keys() == LONG_FUNCTIONS.keys(), f"more than {FUNCTION_LINES} lines: {long}; allowed: {LONG_FUNCTIONS}"
