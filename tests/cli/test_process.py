"""The commands as processes of their own, as a script would run them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from PIL import Image

from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference.cards import card_to_dict, read_card

NODULE = "dicom/dx_nih_00002527_nodule_f37.dcm"
NeedData = Callable[[str], Path]


def pixels(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    with Image.open(path) as picture:
        assert picture.mode == "L"
        return np.asarray(picture)


def test_as_a_process(need_data: NeedData, tmp_path: Path) -> None:
    out = tmp_path / "film.png"
    done = subprocess.run(
        [sys.executable, "-m", "cxr_viewer", "render", str(need_data(NODULE)), "-o", str(out)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert pixels(out).shape == (1024, 1024)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break otherwise on Windows")
def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    started = subprocess.Popen(
        [sys.executable, "-m", "cxr_viewer", "models", "info"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert started.stdout is not None
    assert started.stderr is not None
    started.stdout.close()
    told = started.stderr.read()
    started.stderr.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        started.wait(60)
    assert b"Traceback" not in told
    assert b"Exception ignored" not in told


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_a_full_disk_behind_the_output_is_a_sentence() -> None:
    """Answers of models are written as they come."""
    film = resources_dir() / "samples" / "adult-1-no-finding.dcm"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cxr_viewer", "analyse", str(film)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=100,
            check=False,
        )
    assert done.returncode == 1
    assert "cxr-viewer: The disk is full." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("verbose", [False, True])
def test_a_refused_model_is_one_sentence(tmp_path: Path, verbose: bool) -> None:
    """What the program notes for its log goes to the terminal only where that is asked for."""
    folder = tmp_path / "foreign"
    folder.mkdir()
    (folder / "weights.onnx").write_bytes(b"no model")
    card = card_to_dict(read_card(resources_dir() / "models" / "paediatric-pneumonia"))
    digest = hashlib.sha256(b"no model").hexdigest()
    card |= {"id": "foreign", "network": "onnx", "sha256": digest, "onnx": {"activation": "none"}, "map_evidence": []}
    (folder / "card.toml").write_bytes(tomli_w.dumps(card).encode())
    words = ["models", "install", "--folder", str(folder), *(["--verbose"] if verbose else [])]
    done = subprocess.run(
        [sys.executable, "-m", "cxr_viewer", *words], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if "README.md" not in line]
    assert sum("is not a model in ONNX" in line for line in told if line.startswith("cxr-viewer: ")) == 1
    assert any("openvino-f32 is not used" in line for line in told) == verbose
    if not verbose:
        (sentence,) = (line for line in told if not line.startswith(("Checking", "Copying", "Trying")))
        assert sentence.startswith("cxr-viewer: ")


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal is made otherwise on Windows")
def test_progress_on_a_terminal(tmp_path: Path) -> None:
    import pty
    import termios

    outside, inside = pty.openpty()
    termios.tcsetwinsize(inside, (24, 100))
    out = tmp_path / "a.json"
    started = subprocess.Popen(
        [sys.executable, "-m", "cxr_viewer", "analyse", str(resources_dir() / "samples"), "--json", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=inside,
    )
    os.close(inside)
    told = b""
    with contextlib.suppress(OSError):  # Linux says so when the other end is closed
        while part := os.read(outside, 4096):
            told += part
    os.close(outside)
    assert started.wait(60) == 0
    assert b"5/5" in told
    assert len(json.loads(out.read_text("utf-8"))) == 5
