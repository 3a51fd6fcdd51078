"""Which films are learned from and which are tested on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cxr_viewer.core.errors import CxrError
from cxr_viewer.training.data import (
    FilmRecord,
    check_leakage,
    film_radiograph,
    load_films,
    patient_of,
    read_records,
    split_records,
)


def test_a_patient_on_both_sides_is_refused_by_name() -> None:
    with pytest.raises(CxrError) as fault:
        check_leakage({"training": ["person1", "person7"], "validation": ["person9"], "testing": ["person7"]})
    assert "1 patients are in both training and testing: person7" in fault.value.summary
    check_leakage({"training": ["person1"], "testing": ["person2"]})


def test_the_published_split_shares_patients_and_is_refused(records: list[FilmRecord]) -> None:
    parts = {split: [r.group for r in records if r.split == split] for split in ("train", "test")}
    with pytest.raises(CxrError, match="170 patients are in both train and test"):
        check_leakage(parts)


def test_the_split_used_shares_none_and_keeps_the_official_test(records: list[FilmRecord]) -> None:
    split = split_records(records, validation_share=0.15, seed=1)
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    check_leakage({name: [r.group for r in part] for name, part in parts.items()})
    assert (len(split.test), sum(r.label for r in split.test)) == (624, 390)
    assert len(split.train) + len(split.validation) + len(split.left_out) == 5216
    assert {r.group for r in split.left_out} <= {r.group for r in split.test}
    shares = [sum(r.label for r in part) / len(part) for part in (split.train, split.validation)]
    assert shares[0] == pytest.approx(shares[1], abs=0.01)
    assert split_records(records, validation_share=0.15, seed=1) == split
    assert split_records(records, validation_share=0.15, seed=2).validation != split.validation


def test_shared_patients_may_be_kept_but_never_in_validation(records: list[FilmRecord]) -> None:
    split = split_records(records, validation_share=0.15, seed=1, keep_shared=True)
    assert len(split.train) + len(split.validation) == 5216
    assert not split.left_out
    check_leakage(
        {"validation": [r.group for r in split.validation], "others": [r.group for r in (*split.train, *split.test)]}
    )


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


def test_file_names_and_index_agree_on_patients(records: list[FilmRecord]) -> None:
    assert all(patient_of(record.path.name) == record.group for record in records)


def test_the_public_folder_layout_is_understood(records: list[FilmRecord], tmp_path: Path) -> None:
    for record in [r for r in records if r.split == "test"][::60]:
        folder = tmp_path / "test" / ("PNEUMONIA" if record.label else "NORMAL")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(record.path, folder)
    found = {(r.path.name, r.label, r.group, r.split) for r in read_records(tmp_path)}
    assert found == {(r.path.name, r.label, r.group, r.split) for r in [r for r in records if r.split == "test"][::60]}


def test_adults_are_read_from_their_own_index(need_data: Callable[[str], Path]) -> None:
    need_data("images/nih384_index.csv")
    adults = read_records(need_data("images/nih384"))
    assert {record.label for record in adults} == {0, 1}
    assert all(record.path.is_file() for record in adults)


def test_an_index_with_faults_is_told(tmp_path: Path) -> None:
    index = tmp_path / "index.csv"
    index.write_text("path,label\na.png,NORMAL\n", encoding="utf-8")
    with pytest.raises(CxrError, match="lacks the column group_id, official_split"):
        read_records(tmp_path)
    index.write_text("path,label,group_id,official_split\na.png,MAYBE,p1,train\n", encoding="utf-8")
    with pytest.raises(CxrError, match=r"Line 2 .* has the label “MAYBE”"):
        read_records(tmp_path)
    index.unlink()
    with pytest.raises(CxrError, match="No labelled films"):
        read_records(tmp_path)


def test_unreadable_films_are_named(
    records: list[FilmRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 this is no picture")
    bad = FilmRecord(broken, 1, "p1", "train")
    films = load_films([*records[:30], bad], "some", quiet=True)
    assert len(films) == 30
    assert "broken.jpg" in capsys.readouterr().out
    with pytest.raises(CxrError, match="1 of 2 some films cannot be read"):
        load_films([records[0], bad], "some", quiet=True)
    with pytest.raises(CxrError, match=r"missing\.jpg"):
        film_radiograph(tmp_path / "missing.jpg")


def test_films_in_memory_keep_order_and_label(records: list[FilmRecord]) -> None:
    chosen = records[::500]
    films = load_films(chosen, "some", quiet=True)
    assert films.names == tuple(record.path.name for record in chosen)
    assert films.labels.tolist() == [record.label for record in chosen]
    assert films.grey.shape == (len(chosen), 192, 192)
    assert (films.areas[:, 2:] <= 192).all()
    part = films.only(films.labels == 1)
    assert set(part.labels.tolist()) == {1}
    assert np.array_equal(part.grey, films.grey[films.labels == 1])
