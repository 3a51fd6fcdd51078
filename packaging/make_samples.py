"""Makes the sample films in resources/samples from published data sets. Run once; its output is kept in the repository.

    python packaging/make_samples.py --dicom DIR --images DIR --out resources/samples --probes resources/probes

What is known of a film is written into it, nothing is made up: a date, an age or a name that a data set does not give
stays empty. Patient names and ids begin with SAMPLE.

* NIH ChestX-ray14 (no restrictions on use): pixels unchanged, 1024 x 1024, 8 bit, as DICOM. Age, sex and view are those
  of the data set's own list (Data_Entry_2017_v2020).
* Paediatric pneumonia set (CC BY 4.0; Kermany, Zhang, Goldbaum 2018), official test films: 192 x 192 px pictures that
  were squeezed to a square are widened to the shape of the original film, as PNG. They are not wrapped as DICOM, as the
  data set says neither age nor modality of a single film.
"""

from __future__ import annotations

import argparse
import csv
import uuid
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

PROBE_PX = 448

NIH_CREDIT = (
    "NIH ChestX-ray14, NIH Clinical Center (https://nihcc.app.box.com/v/ChestXray-NIHCC); "
    "Wang X, Peng Y, Lu L, et al. ChestX-ray8. CVPR 2017, 3462-3471."
)


@dataclass(frozen=True, slots=True)
class NihFilm:
    """One film of the NIH set: the DICOM file with its pixels, its place in the list, the name it is given here."""

    source: str
    image_id: str
    name: str


@dataclass(frozen=True, slots=True)
class ChildFilm:
    """One film of the paediatric set and the name it is given here."""

    source: str
    name: str


NIH_FILMS = (
    NihFilm("dx_nih_udacity_test1_nofinding.dcm", "00000002_000", "adult-1-no-finding.dcm"),
    NihFilm("dx_nih_00000001_000_pa_cardiomegaly.dcm", "00000001_000", "adult-2-cardiomegaly.dcm"),
    NihFilm("dx_nih_00002527_nodule_f37.dcm", "00002527_000", "adult-3-nodule.dcm"),
)
CHILD_FILMS = (
    ChildFilm("paediatric192/test/IM-0006-0001.jpg", "child-1-normal.png"),
    ChildFilm("paediatric192/test/person136_bacteria_649.jpg", "child-2-pneumonia.png"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dicom", type=Path, required=True, help="folder with the NIH films as DICOM")
    parser.add_argument("--images", type=Path, required=True, help="folder with paediatric192/ and the index files")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--probes", type=Path, required=True, help="folder for the reduced adult films")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    arguments.probes.mkdir(parents=True, exist_ok=True)
    listed = _index(arguments.images / "nih128_index.csv", "image_id")
    for film in NIH_FILMS:
        dataset = nih_dataset(pydicom.dcmread(arguments.dicom / film.source), listed[film.image_id])
        dataset.save_as(arguments.out / film.name, enforce_file_format=True)
        probe = cv2.resize(dataset.pixel_array, (PROBE_PX, PROBE_PX), interpolation=cv2.INTER_AREA)
        _write_png((arguments.probes / film.name).with_suffix(".png"), probe)
    shapes = _index(arguments.images / "paediatric192_index.csv", "path")
    for child in CHILD_FILMS:
        width, height = (int(side) for side in shapes[child.source]["orig_size"].split("x"))
        widen(arguments.images / child.source, arguments.out / child.name, width / height)


def _index(path: Path, column: str) -> dict[str, dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return {row[column]: row for row in csv.DictReader(file)}


def nih_dataset(source: Dataset, row: dict[str, str]) -> Dataset:
    """The pixels of ``source`` with what the NIH list says of them, as a Secondary Capture image (PS3.3 A.8.1).

    Args:
        source: 8-bit MONOCHROME2 film.
        row: its line of the list: image_id, patient_id, age, sex, view and the labels.
    """
    labels = [name for name, value in row.items() if value == "1" and name[:1].isupper()]
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    film.SOPClassUID = SecondaryCaptureImageStorage
    film.SOPInstanceUID = _uid(row["image_id"], "image")
    film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID
    film.StudyInstanceUID = _uid(row["image_id"], "study")
    film.SeriesInstanceUID = _uid(row["image_id"], "series")
    film.PatientName = f"SAMPLE^NIH {row['patient_id']}"
    film.PatientID = f"SAMPLE-NIH-{int(row['patient_id']):08d}"
    film.PatientSex = row["sex"]
    film.PatientAge = f"{int(row['age']):03d}Y"
    film.PatientIdentityRemoved = "YES"
    film.DeidentificationMethod = "By the NIH Clinical Center before publication"
    for empty in ("PatientBirthDate", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyID"):
        setattr(film, empty, "")
    film.Modality = "DX"
    film.ConversionType = "WSD"
    film.StudyDescription = "Sample: NIH ChestX-ray14"
    film.SeriesDescription = f"NIH label: {', '.join(labels) or 'No Finding'}"
    film.SeriesNumber = film.InstanceNumber = "1"
    film.PatientOrientation = ""
    film.BodyPartExamined = "CHEST"
    film.ViewPosition = row["view"]
    film.ImageComments = NIH_CREDIT
    film.DerivationDescription = f"Pixels of NIH image {row['image_id']}.png; tags written from the NIH list."
    film.ImageType = ["DERIVED", "SECONDARY"]
    for name in ("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored"):
        setattr(film, name, source[name].value)
    film.HighBit, film.PixelRepresentation = source.HighBit, source.PixelRepresentation
    film.PixelData = source.PixelData
    film["PixelData"].VR = "OB"
    return film


def _uid(image_id: str, kind: str) -> str:
    """The same UID at every run (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_URL, f'cxr-viewer/samples/nih/{image_id}/{kind}').int}"


def widen(source: Path, target: Path, ratio: float) -> None:
    """A squeezed square picture in its own shape again: width over height is ``ratio``, the height stays."""
    picture = cv2.imread(str(source), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise SystemExit(f"{source.name} cannot be read.")
    rows = picture.shape[0]
    wide = cv2.resize(picture, (round(rows * ratio), rows), interpolation=cv2.INTER_CUBIC)
    _write_png(target, wide)


def _write_png(target: Path, picture: np.ndarray) -> None:
    if not cv2.imwrite(str(target), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9]):
        raise SystemExit(f"{target.name} cannot be written.")


if __name__ == "__main__":
    main()
