"""The window's process stays small while readers send it the largest films there are, or more than they may."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.sources import pixelformat, sandbox, wire
from cxr_viewer.sources.reader import SandboxReader
from cxr_viewer.sources.sandbox import Sandbox

GROWTH_MIB = 200

_READ = """
import json, sys
import psutil
from pathlib import Path
from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.sources.reader import SandboxReader
from cxr_viewer.ui.film_layer import make_ready
small, large = map(Path, sys.argv[1:])
reader = SandboxReader()
make_ready(reader.read(reader.describe(small, CancelToken()).image, CancelToken()))
before = psutil.Process().memory_info().rss
film = reader.read(reader.describe(large, CancelToken()).image, CancelToken())
make_ready(film)
(peak,) = (1024 * int(row.split()[1]) for row in open("/proc/self/status") if row.startswith("VmHWM:"))
reader.close()
print(json.dumps([film.rows, film.columns, (peak - before) / 2**20]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux tells the highest size of a process")
def test_the_largest_film_fits(dicom_bytes: Callable[..., bytes], tmp_path: Path, repository: Path) -> None:
    side = int((pixelformat.LIMIT_MEGAPIXELS * 1e6) ** 0.5)
    small, large = tmp_path / "small.dcm", tmp_path / "large.dcm"
    small.write_bytes(dicom_bytes())
    ramp = np.arange(side, dtype="<u2") & 0x0FFF
    large.write_bytes(dicom_bytes(Rows=side, Columns=side, PixelData=np.tile(ramp, (side, 1)).tobytes()))
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(small), str(large)],
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    rows, columns, growth = json.loads(done.stdout)
    assert (rows, columns) == (side, side)
    assert growth < GROWTH_MIB


def test_beyond_that_there_is_a_sentence(
    reader: SandboxReader, dicom_bytes: Callable[..., bytes], tmp_path: Path
) -> None:
    path = tmp_path / "film.dcm"
    for samples, limit in ((1, pixelformat.LIMIT_MEGAPIXELS), (3, pixelformat.COLOUR_LIMIT_MEGAPIXELS)):
        form = {"SamplesPerPixel": samples, "PhotometricInterpretation": "RGB" if samples == 3 else "MONOCHROME2"}
        path.write_bytes(dicom_bytes(Rows=limit * 100 + 1, Columns=10_000, **form))
        found = reader.describe(path, CancelToken())
        assert found.image.problem.endswith("more than any radiograph has.")
        with pytest.raises(ReadError) as caught:
            reader.read(found.image, CancelToken())
        assert caught.value.code == "image-too-large"
        assert str(limit) in caught.value.hint


_TOO_MUCH = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
import numpy as np
from cxr_viewer.sources import jobs, wire, worker
def run(job, words, interim=None):
    if job == "words": return "x" * wire.MAX_WORDS
    if job == "early": interim("x" * wire.MAX_WORDS); return "fine"
    if job == "array": return np.broadcast_to(np.uint8(0), (2, wire.MAX_BYTES))
jobs.run = run
worker.main(int(sys.argv[2]), sys.argv[3])
"""


def test_an_honest_reader_holds_back_what_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """And goes on: nothing was sent that the other side would have to refuse."""
    monkeypatch.setattr(sandbox, "_BOOT", _TOO_MUCH)
    pool = Sandbox(1)
    try:
        assert pool.ask(str, "early", CancelToken(), interim=lambda _: None) == "fine"
        pids = pool.processes
        for job in ("words", "array"):
            with pytest.raises(ReadError) as caught:
                pool.ask(str, job, CancelToken())
            assert caught.value.code == "answer-too-large"
        assert pool.processes == pids
    finally:
        pool.close()


_LIES = """
import json, os, struct, sys
text = json.dumps({"ok": 0, "blocks": [{"dtype": "uint8", "shape": [1 << 27, 1]}] * 60}).encode()
os.write(1, struct.pack("<I", len(text)) + text)
os.read(0, 1)
os.read(0, 1 << 16)
"""


def test_a_subverted_reader_cannot_fill_the_windows_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wire.MAX_BYTES < 60 << 27
    monkeypatch.setattr(sandbox, "_BOOT", _LIES)
    pool = Sandbox(1)
    try:
        with pytest.raises(ReadError) as caught:
            pool.ask(str, "describe", CancelToken())
        assert caught.value.code == "reader-crashed"
    finally:
        pool.close()
