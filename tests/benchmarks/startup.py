"""Time from the command line to the window on screen, and what is imported by then.

The peer, in the same run: an empty Qt main window in a fresh process.

    python tests/benchmarks/startup.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

HEAVY = ("torch", "openvino", "SimpleITK", "pydicom", "matplotlib", "sklearn", "scipy", "pytorch_grad_cam", "gdcm")

OURS = """
import sys
from PySide6.QtWidgets import QApplication
from cxr_viewer.app import Program, dress
application = QApplication(sys.argv[:1])
dress(application)
program = Program((1280, 800))
application.processEvents()
print("UP", flush=True)
print(" ".join(sorted({name.partition(".")[0] for name in sys.modules})), flush=True)
program.close()
"""

PEER = """
import sys
from PySide6.QtWidgets import QApplication, QMainWindow
application = QApplication(sys.argv[:1])
window = QMainWindow()
window.resize(1280, 800)
window.show()
application.processEvents()
print("UP", flush=True)
"""


def seconds_until_up(program: str, environment: dict[str, str]) -> tuple[float, str]:
    """Start ``program`` in a fresh process and wait for its window."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while (line := process.stdout.readline()) and line.strip() != "UP":
        pass
    elapsed = time.perf_counter() - started
    rest = process.stdout.read()
    if process.wait() != 0:
        raise SystemExit("the program did not start")
    return elapsed, rest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as home:
        environment = {"QT_QPA_PLATFORM": "offscreen"} | dict(os.environ) | {"CXR_VIEWER_HOME": home}
        seconds_until_up(OURS, environment)  # the first start writes byte code and folders
        ours = [seconds_until_up(OURS, environment) for _ in range(rounds)]
        peer = [seconds_until_up(PEER, environment)[0] for _ in range(rounds)]
    imported = set(ours[0][1].split())
    median, bare = statistics.median(time for time, _ in ours), statistics.median(peer)
    print(f"window up: {median:.2f} s (median of {rounds}), an empty Qt window {bare:.2f} s: ratio {median / bare:.2f}")
    heavy = [name for name in HEAVY if name in imported]
    print(f"heavy packages imported by then: {', '.join(heavy) or 'none'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
