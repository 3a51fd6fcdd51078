"""Which films an index holds, and what it says of each; the three layouts at hand, and one's own."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cxr_viewer.core.errors import CxrError
from cxr_viewer.training.index import Index, patient_of, read_index
from cxr_viewer.training.recipe import read_recipe

PNEUMONIA = "paediatric-pneumonia"


def _read(folder: Path, text: str, *changes: str) -> Index:
    (folder / "index.csv").write_text(text, encoding="utf-8")
    return read_index(read_recipe("classify", changes), [folder])


def test_the_paediatric_index(paediatric: Path) -> None:
    index = read_index(read_recipe(PNEUMONIA), [paediatric])
    assert len(index.records) == 5840
    assert index.names == ("Pneumonia",)
    assert {record.targets for record in index.records} == {(0.0,), (1.0,)}
    assert all(patient_of(record.path.name) == record.patient for record in index.records)
    assert all(record.path.is_file() for record in index.records[::200])
    assert sum(record.split == "test" for record in index.records) == 624


def test_the_same_films_in_folders_say_the_same(paediatric: Path, tmp_path: Path) -> None:
    tests = [r for r in read_index(read_recipe(PNEUMONIA), [paediatric]).records if r.split == "test"][::60]
    for record in tests:
        folder = tmp_path / "test" / ("PNEUMONIA" if record.targets[0] else "NORMAL")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(record.path, folder)
    found = read_index(read_recipe(PNEUMONIA), [tmp_path]).records
    assert {(r.path.name, r.targets, r.patient, r.split) for r in found} == {
        (r.path.name, r.targets, r.patient, r.split) for r in tests
    }


def test_the_adult_index(need_data: Callable[[str], Path]) -> None:
    need_data("images/nih384_index.csv")
    folder = need_data("images/nih384")
    index = read_index(read_recipe("classify", ['labels=["Effusion", "Pleural Thickening"]']), [folder])
    assert index.names == ("Effusion", "Pleural Thickening")
    assert len(index.records) == 1541
    assert {record.split for record in index.records} == {"train", "test"}
    assert {record.view for record in index.records} == {"PA", "AP"}
    assert all(record.site == "nih384" for record in index.records)
    assert all(0 <= record.age <= 120 for record in index.records if not math.isnan(record.age) and record.age < 150)
    assert sum(record.targets[1] for record in index.records) > 20
    good = read_index(read_recipe("classify", ['labels=["Effusion"]', 'films.where={mask_good = "1"}']), [folder])
    assert 0 < len(good.records) < 1541
    assert all(record.mask is not None and record.mask.is_file() for record in good.records[::100])


def test_adults_without_any_finding_stand_against_pneumonia(need_data: Callable[[str], Path]) -> None:
    need_data("images/nih384_index.csv")
    index = read_index(read_recipe(PNEUMONIA), [need_data("images/nih384")])
    kinds = [record.targets[0] for record in index.records]
    assert sum(math.isnan(kind) for kind in kinds) > 100
    for record in index.records:
        if record.targets[0] == 0:
            assert record.row["no_finding"] == "1"


def test_ones_own_columns_are_found_and_named(tmp_path: Path) -> None:
    text = "Image Index,Patient ID,Hospital,Patient Age,Edema,Mass\na.png,p1,North,018M,1,\nb.dcm,p2,South,57,0,1\n"
    records = _read(tmp_path, text + "c.png,p3,South,,1,0\n").records
    assert [record.targets for record in records][1:] == [(0.0, 1.0), (1.0, 0.0)]
    assert math.isnan(records[0].targets[1])
    assert [record.site for record in records] == ["North", "South", "South"]
    assert records[0].age == 1.5
    assert records[1].path == tmp_path / "b.dcm"
    other = "bild,wer,Edema\na.png,p1,yes\nb.png,p2,no\n"
    with pytest.raises(CxrError, match="no column for the path") as fault:
        _read(tmp_path, other)
    assert "columns.path" in fault.value.hint
    found = _read(tmp_path, other, "columns.path=bild", "columns.patient=wer")
    assert [record.targets for record in found.records] == [(1.0,), (0.0,)]
    with pytest.raises(CxrError, match="no column “x”"):
        _read(tmp_path, other, "columns.path=bild", "columns.patient=x")


def test_only_people_of_the_recipes_ages_are_used(tmp_path: Path) -> None:
    lines = "a.png,1,A,017Y\nb.png,0,B,18\nc.png,1,C,90.5\nd.png,0,D,91\ne.png,1,E,\n"
    changes = ('labels=["Effusion"]', "films.ages=[18, 90]")
    index = _read(tmp_path, "path,Effusion,patient,age\n" + lines, *changes)
    assert [record.path.name for record in index.records] == ["b.png", "c.png", "e.png"]
    with pytest.raises(CxrError, match="ages"):
        read_recipe("classify", ["films.ages=[18]"])


def test_one_column_may_hold_several_names(tmp_path: Path) -> None:
    text = "path,patient,labels\na.png,1,Edema|Mass\nb.png,2,No Finding\nc.png,3,mass\nd.png,4,\n"
    index = _read(tmp_path, text, 'labels=["Edema", "Mass"]')
    assert [record.targets for record in index.records][:3] == [(1, 1), (0, 0), (0, 1)]
    assert all(math.isnan(target) for target in index.records[3].targets)
    assert _read(tmp_path, text.replace("mass", "Mass")).names == ("Edema", "Mass")


def test_a_patient_number_of_two_sites_may_be_two_patients(tmp_path: Path) -> None:
    text = "path,patient,site,Edema\na.png,1,North,1\nb.png,1,South,0\n"
    assert {record.patient for record in _read(tmp_path, text).records} == {"1"}
    apart = _read(tmp_path, text, "split.patients_per_site=true")
    assert {record.patient for record in apart.records} == {"North/1", "South/1"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("c.png,p3,train,maybe", r"index\.csv, line 4: “maybe” in the column “Edema” is no known value"),
        ("c.png,,train,1", r"line 4: the film has no patient"),
        (",p3,train,1", r"line 4: the film has no path"),
        ("c.png,p3,later,1", r"line 4: “later” is no known split"),
        ("c.png,p3,train,1,5", r"line 4: there are more values than columns"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    text = f"path,patient,split,Edema\na.png,p1,train,1\nb.png,p2,test,0\n{line}\n"
    with pytest.raises(CxrError, match=words):
        _read(tmp_path, text, 'labels=["Edema"]')


def test_an_unknown_name_in_the_common_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(CxrError, match="line 3: “Oedema” in the column “label”"):
        _read(tmp_path, "path,patient,label\na.png,1,Edema\nb.png,2,Oedema\n", 'labels=["Edema"]')


def test_nothing_to_learn_from(tmp_path: Path) -> None:
    with pytest.raises(CxrError, match="No labelled films"):
        read_index(read_recipe("classify"), [tmp_path])
    with pytest.raises(CxrError, match="no column for the label “Edema”"):
        _read(tmp_path, "path,patient,Mass\na.png,1,1\n", 'labels=["Edema"]')
    with pytest.raises(CxrError, match="no column that could be a label"):
        _read(tmp_path, "path,patient,words\na.png,1,hello\n")
    (tmp_path / "index.csv").write_bytes(b"path,patient\n\xff\xfe,1\n")
    with pytest.raises(CxrError, match="cannot be read"):
        read_index(read_recipe("classify"), [tmp_path])


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("person12_virus_3.jpeg", "person12"),
        ("NORMAL2-IM-0383-0001.jpeg", "NORMAL2-IM-0383"),
        ("IM-0115-0001-0002.jpeg", "IM-0115"),
        ("other.png", "other"),
    ],
)
def test_patients_in_file_names(name: str, patient: str) -> None:
    assert patient_of(name) == patient


def test_only_a_classifier_needs_labels(tmp_path: Path) -> None:
    text = "path,patient,mask\na.png,p1,a-mask.png\nb.png,p2,\n"
    with pytest.raises(CxrError, match="no column that could be a label"):
        _read(tmp_path, text)
    index = read_index(read_recipe("anatomy"), [tmp_path])
    assert index.names == ("Cardiomegaly",)  # the recipe holds its ratio against it, where an index knows it
    assert all(math.isnan(record.targets[0]) for record in index.records)
    assert [record.mask for record in index.records] == [tmp_path / "a-mask.png", None]


def test_a_slip_in_a_label_is_named_and_does_not_cost_the_label(tmp_path: Path) -> None:
    lines = [f"{number}.png,p{number},{number % 2},{number % 2},{number % 3}" for number in range(20)]
    text = "path,patient,Edema,Mass,follow_up\n"
    assert _read(tmp_path, text + "\n".join(lines)).names == ("Edema", "Mass")
    lines[4] = "4.png,p4,0,perhaps,1"
    with pytest.raises(
        CxrError, match=r"index\.csv, line 6: “perhaps” in the column “Mass” is no known value"
    ) as fault:
        _read(tmp_path, text + "\n".join(lines))
    assert "--set 'labels=" in fault.value.hint
