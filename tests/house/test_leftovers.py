"""The watch over leftovers in conftest.py has to see what it promises to see."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

LEAVES = {
    "thread": """
        import threading
        def test_it():
            threading.Thread(target=threading.Event().wait, daemon=True, name="forgotten").start()
        """,
    "qthread": """
        from PySide6.QtCore import QThread
        kept = []
        class Forgotten(QThread):
            def run(self):
                self.exec()
        def test_it(qapp):
            kept.append(Forgotten())
            kept[0].start()
        def teardown_module():
            kept[0].quit()
            kept[0].wait()
        """,
    "process": """
        import subprocess, sys
        kept = []
        def test_it():
            kept.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))
        def teardown_module():
            kept[0].communicate()
        """,
}


@pytest.fixture(autouse=True)
def _find_the_package(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copied conftest.py finds ``cxr_viewer`` also where it is not installed."""
    monkeypatch.setenv("PYTHONPATH", str(repository))


@pytest.mark.parametrize("kind", LEAVES)
def test_a_leftover_fails_its_test(pytester: pytest.Pytester, repository: Path, kind: str) -> None:
    conftest = (repository / "tests" / "conftest.py").read_text(encoding="utf-8")
    assert "LEFTOVER_GRACE_S = 5.0" in conftest
    pytester.makeconftest(conftest.replace("LEFTOVER_GRACE_S = 5.0", "LEFTOVER_GRACE_S = 0.2"))
    pytester.makepyfile(LEAVES[kind])
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([f"*the test left running: {'QThread' if kind == 'qthread' else kind} *"])


def test_a_tidy_test_passes(pytester: pytest.Pytester, repository: Path) -> None:
    pytester.makeconftest((repository / "tests" / "conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile(
        """
        import subprocess, sys, threading
        def test_it():
            thread = threading.Thread(target=int)
            thread.start()
            thread.join()
            subprocess.run([sys.executable, "-c", "pass"], check=True)
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_a_qt_warning_fails_its_test(pytester: pytest.Pytester, repository: Path) -> None:
    pytester.makeconftest((repository / "tests" / "conftest.py").read_text(encoding="utf-8"))
    pytester.makepyprojecttoml((repository / "pyproject.toml").read_text(encoding="utf-8"))
    test = pytester.makepyfile("from PySide6.QtCore import qWarning\ndef test_it(qapp):\n    qWarning('a Qt warning')")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", test)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*a Qt warning*"])
