"""Real JPEG 2000 films cut off at several places: how far what is shown lies from the sound film.

python tests/reliability/torn.py [--write]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pydicom
from driver import DATA, write_section
from pydicom.encaps import get_frame

from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.image import Radiograph
from cxr_viewer.sources import attributes, dicomfile

FILMS = {
    "Canon DX, lossless, by resolution": "dicom/dx_canon_pa_mono1_12bit_j2klossless.dcm",
    "GE lateral DX, lossless": "dicom/dx_lidc0005_lateral_ge_j2klossless_14bit.dcm",
    "Philips CR, lossy": "dicom/cr_philips_rg1_pa_mono1_15bit_j2klossy.dcm",
    "Kodak CR, 12 layers": "dicom-other/cr_hand_kodak.dcm",
    "Canon DX, high-throughput": "dicom/tx_dx_canon_htj2k_lossless.dcm",
}
SHARES = (99, 90, 75, 50, 25, 10, 5)


def shown(data: bytes) -> Radiograph:
    return attributes.radiograph(dicomfile.read_all(data), Path("film.dcm"), "0" * 64, 0)


def cell(data: bytes, start: int, length: int, share: int, whole: np.ndarray) -> str:
    try:
        film = shown(data[: start + length * share // 100])
    except ReadError:
        return "refused"
    if not film.damaged:
        raise SystemExit("A torn film is shown without a caution.")
    mean = np.abs(film.stored.astype(np.float64) - whole).mean()
    return f"{100 * mean / whole.std():.1f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put the result into docs/reliability.md")
    arguments = parser.parse_args()
    lines = ["| film | " + " | ".join(f"{share} %" for share in SHARES) + " |", "|---" + "|--:" * len(SHARES) + "|"]
    for name, place in FILMS.items():
        path = DATA / place
        if not path.is_file():
            print(f"{path} is missing.")
            return 2
        data = path.read_bytes()
        stream = get_frame(pydicom.dcmread(path).PixelData, 0, number_of_frames=1)
        start = data.index(stream[:4096])
        whole = shown(data).stored.astype(np.float64)
        cells = [cell(data, start, len(stream), share, whole) for share in SHARES]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    if arguments.write:
        write_section("torn", "\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
