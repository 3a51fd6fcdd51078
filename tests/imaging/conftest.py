"""Films for the tests of the grey chain, and the reference renderers they are held against."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pydicom
import pytest

from cxr_viewer.core.image import (
    ImageKey,
    ModalityTable,
    Radiograph,
    Rescale,
    Voi,
    VoiTable,
    VoiWindow,
    WindowFunction,
)

MakeFilm = Callable[..., Radiograph]
ReadFilm = Callable[[Path], Radiograph]


@pytest.fixture(scope="session")
def make_film() -> MakeFilm:
    """``make_film(stored, photometric="MONOCHROME1", ...)``: a film around an array."""

    def make(stored: Any, **changes: Any) -> Radiograph:
        fields: dict[str, Any] = {
            "key": ImageKey("1", "2", "3"),
            "path": Path("film.dcm"),
            "stored": np.asarray(stored),
            "bits_stored": 8 * np.asarray(stored).dtype.itemsize,
            "photometric": "MONOCHROME2",
            "modality": "DX",
        }
        return Radiograph(**(fields | changes))

    return make


@pytest.fixture(scope="session")
def ref_render(repository: Path) -> ModuleType:
    """The reference renderers beside the checkout: dcmtk, pydicom and the standard written out in float64."""
    path = repository.parent / "shared" / "tools" / "ref_render.py"
    if not path.exists():
        pytest.skip("needs the reference renderers in ../shared/tools/ref_render.py, which is not there")
    spec = importlib.util.spec_from_file_location("ref_render", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def read_film(ref_render: ModuleType) -> ReadFilm:
    """A real film, decoded by pydicom, with the grey chain as the references read it.

    The program's own reader is left out on purpose: these tests are about what becomes of a :class:`Radiograph`.
    """

    def read(path: Path) -> Radiograph:
        ds = pydicom.dcmread(path, force=True)
        stored = ds.pixel_array
        voi_item, modality_item = ref_render.voi_sources(ds)
        values, _ = ref_render.std_modality(ds, stored)
        shape = str(ds.get("PresentationLUTShape", "") or "").strip().upper()
        return Radiograph(
            key=ImageKey(str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID)),
            path=path,
            stored=stored,
            bits_stored=int(ds.BitsStored),
            photometric=str(ds.PhotometricInterpretation),
            modality=str(ds.Modality),
            presentation_lut_shape=shape,
            modality_lut=_modality_lut(ref_render, modality_item, signed=ds.PixelRepresentation == 1),
            voi=_vois(ref_render, voi_item, signed=bool(values.min() < 0)),
        )

    return read


def _modality_lut(ref: ModuleType, item: pydicom.Dataset, *, signed: bool) -> Rescale | ModalityTable:
    if item.get("ModalityLUTSequence"):
        first, entries, bits = ref.lut_table(item.ModalityLUTSequence[0], signed)
        return ModalityTable(first, entries.astype(np.uint16), bits)
    slope, intercept = ref.first(item.get("RescaleSlope")), ref.first(item.get("RescaleIntercept"))
    return Rescale(1.0 if slope is None else slope, intercept or 0.0)


def _vois(ref: ModuleType, item: pydicom.Dataset, *, signed: bool) -> tuple[Voi, ...]:
    found: list[Voi] = []
    for lut in item.get("VOILUTSequence") or []:
        first, entries, bits = ref.lut_table(lut, signed)
        found.append(VoiTable(first, entries.astype(np.uint16), bits))
    function = WindowFunction(str(item.get("VOILUTFunction", "") or "LINEAR").upper())
    place = 0
    while (center := ref.first(item.get("WindowCenter"), place)) is not None:
        width = ref.first(item.get("WindowWidth"), place)
        if width is not None:
            found.append(VoiWindow(center, width, function))
        place += 1
    return tuple(found)
