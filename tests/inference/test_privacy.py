"""Nothing is sent anywhere: a whole analysis, conversion and library maps included, tries no connection."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Python tells an audit hook of every connection and name look-up, by whatever library (sys.audit, PEP 578).
WATCH = """
import os, sys
def _watch(event, given):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.gethostbyname", "socket.getaddrinfo"):
        if event == "socket.getaddrinfo" or not isinstance(given[1], str):  # a str is a local socket's path
            with open(os.environ["WATCH_LOG"], "a") as log:
                log.write(f"{event} {given}\\n")
            raise OSError("no network in this test")
sys.addaudithook(_watch)
"""

ANALYSE = """
import sys, warnings
from pathlib import Path
import numpy as np
from cxr_viewer.inference.engines import child
child._BOOT = WATCH + child._BOOT
from cxr_viewer.core.findings import AnalysisRequest
from cxr_viewer.core.image import ImageKey, Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference.runner import LocalRunner

y, x = np.mgrid[-1:1:300j, -1:1:300j]
stored = (3000 - 2200 * np.exp(-(((np.abs(x) - 0.45) / 0.28) ** 2) - (y / 0.6) ** 2)).astype(np.uint16)
film = Radiograph(ImageKey("1", "2", "3"), Path("film"), stored, 12, "MONOCHROME2", "DX")
runner = LocalRunner(cache=Path(sys.argv[1]))
for method in ("Grad-CAM", "LayerCAM"):
    request = AnalysisRequest(0, 1, film, "paediatric-pneumonia", method, override=True)
    result = runner.analyse(request, CancelToken(), print)
    assert result.device == "CPU (OpenVINO)", result.cautions
assert runner.settle(CancelToken())  # makes the files of every engine, and tries each
request = AnalysisRequest(0, 1, film, "paediatric-pneumonia", device="onnxruntime", override=True)
runner.analyse(request, CancelToken(), print)
runner.close()
print("made:", *sorted(path.name for path in Path(sys.argv[1]).glob("engines/*/*")))
heavy = {"torch", "openvino", "openvino_telemetry", "openvino.tools.ovc", "onnxruntime", "onnx", "nncf"}
print("imported:", *sorted(heavy & set(sys.modules)))
"""


def run(script: str, log: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = f"WATCH = {WATCH!r}\nexec(WATCH)\n{script}"
    # Where a machine is taken for a build server, telemetry would be off anyway and the test would prove nothing.
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "TF_BUILD", "JENKINS_URL")}
    environment["WATCH_LOG"] = str(log)
    environment["HOME"] = environment["LOCALAPPDATA"] = str(log.parent)
    for vendor in ("intel", "Intel Corporation"):  # whoever uses this computer has agreed to OpenVINO's telemetry
        (log.parent / vendor).mkdir(exist_ok=True)
        (log.parent / vendor / "openvino_telemetry").write_text("1")
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "connections.txt"


def test_the_watch_sees_a_connection(log: Path) -> None:
    script = "import urllib.request\nurllib.request.urlopen('http://192.0.2.1/', timeout=1)"
    assert run(script, log).returncode != 0
    assert "192.0.2.1" in log.read_text()


@pytest.mark.timeout(300)
def test_analysing_tries_no_connection_and_needs_no_torch_in_its_process(log: Path, tmp_path: Path) -> None:
    done = run(ANALYSE, log, str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert "only once" in done.stdout  # the conversion, where OpenVINO's telemetry lives, was part of it
    assert not log.exists(), log.read_text()
    made, imported = done.stdout.splitlines()[-2:]
    assert "graph.onnx" in made
    assert "int8.xml" in made
    assert imported == "imported: onnxruntime openvino"
